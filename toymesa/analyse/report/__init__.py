"""One report on a model for a person: what is stable, what changes it, how training from a start ends."""
