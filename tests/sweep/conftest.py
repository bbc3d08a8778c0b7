"""Helpers of the sweep tests."""

import sys
from pathlib import Path

# other processes import the models of these tests by the same name
sys.path.insert(0, str(Path(__file__).parent))
