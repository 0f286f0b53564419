"""Run omisync as ``python -m omisync``."""

import sys

from omisync.cli import main

sys.exit(main())
