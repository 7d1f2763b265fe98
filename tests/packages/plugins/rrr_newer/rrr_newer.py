"""A task for a core that is not there yet; importing it would end the process."""

import os

os._exit(9)
