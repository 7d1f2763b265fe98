"""Configures tox here: two environments at a time, filled by uv, with every Python that pyenv has installed.

tox reads this file automatically. The user's own settings are respected.
"""

import os
import sys
from pathlib import Path

if len(sys.argv) == 1:  # Fill one environment while another tests. A single requested one prints directly.
    os.environ.setdefault("TOX_PARALLEL", "2")

try:
    from uv import find_uv_bin
except ImportError:
    pass  # This tox lacks what tox.ini requires: it installs that and restarts itself.
else:
    os.environ.setdefault("RRR_UV", find_uv_bin())

if "PYENV_ROOT" in os.environ:  # Not only the activated Pythons.
    pythons = sorted(Path(os.environ["PYENV_ROOT"]).glob("versions/3.*/bin/python"))
    os.environ.setdefault("TOX_DISCOVER", "\n".join(map(str, pythons)))
