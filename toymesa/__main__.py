"""``python -m toymesa``."""

import sys

from toymesa.cli import main

sys.exit(main())
