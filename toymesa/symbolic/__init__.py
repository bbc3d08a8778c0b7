"""What the equations are: models, builders, formulas in text, claims. SymPy alone."""
