"""``python -m cspine``."""

import sys

from cspine.cli import main

sys.exit(main())
