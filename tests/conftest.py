"""How Hypothesis runs: the same examples every time by default; ``HYPOTHESIS_PROFILE=explore`` draws new ones."""

from __future__ import annotations

import os

from hypothesis import settings

# no deadline anywhere: the first call of a kernel compiles it
settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=50, print_blob=True)
settings.register_profile("explore", deadline=None, max_examples=100)
settings.register_profile("nightly", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
