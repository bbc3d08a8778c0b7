"""Generated functions, integrators and batches: the only place with compiled code."""
