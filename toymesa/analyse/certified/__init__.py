"""Every fixed point with a proof: exact elimination, interval search, certificates."""
