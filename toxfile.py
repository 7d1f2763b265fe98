"""Lets tox see every Python that pyenv has installed, not only those that are switched on.

tox reads this file by itself. Without pyenv, or where the user has set TOX_DISCOVER, it changes nothing.
"""

import os
from pathlib import Path

if "PYENV_ROOT" in os.environ:
    pythons = sorted(Path(os.environ["PYENV_ROOT"]).glob("versions/3.*/bin/python"))
    os.environ.setdefault("TOX_DISCOVER", "\n".join(map(str, pythons)))
