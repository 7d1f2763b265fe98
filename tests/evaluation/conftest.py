"""Puts the planted world within reach of the tests, and of the process that one of them kills."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
