"""How tox works here: two environments at a time, filled by uv, and with every Python that pyenv has installed.

tox reads this file by itself. What the user has set stays as it is.
"""

import os
import sys
from pathlib import Path

if len(sys.argv) == 1:  # While one of all environments is filled, another tests. One that was asked for prints at once.
    os.environ.setdefault("TOX_PARALLEL", "2")

try:
    from uv import find_uv_bin
except ImportError:
    pass  # This tox lacks what tox.ini requires: it installs that beside itself, and starts again from there.
else:
    os.environ.setdefault("RRR_UV", find_uv_bin())

if "PYENV_ROOT" in os.environ:  # Not only the Pythons that are switched on.
    pythons = sorted(Path(os.environ["PYENV_ROOT"]).glob("versions/3.*/bin/python"))
    os.environ.setdefault("TOX_DISCOVER", "\n".join(map(str, pythons)))
