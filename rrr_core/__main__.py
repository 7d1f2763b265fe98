"""`python -m rrr_core`: the command line, where the script `rrr` is not on the path."""

import sys

from rrr_core.cli import main

if __name__ == "__main__":
    sys.argv[0] = "rrr"
    main()
