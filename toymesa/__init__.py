"""toymesa: solvable toy models of mesa-optimization."""

__version__ = "0.1.0.dev0"
