"""Mining: tries at rows of the train split, and the failing ones kept as the failure set that training starts from."""

from rrr_core.mining.folder import mine
from rrr_core.mining.settings import MineSettings
from rrr_core.mining.tally import MiningSummary

__all__ = ["MineSettings", "MiningSummary", "mine"]
