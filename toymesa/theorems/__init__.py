"""What is exactly known about each model, as vectorized functions of numbers."""
