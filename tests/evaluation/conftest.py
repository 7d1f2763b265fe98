"""Makes the planted world importable for the tests and for the process that one of them kills."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
