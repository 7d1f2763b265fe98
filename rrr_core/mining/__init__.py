"""Mining: sample tries on rows of the train split and keep the failing ones as the failure set that training uses."""

from rrr_core.mining.folder import mine
from rrr_core.mining.settings import MineSettings
from rrr_core.mining.tally import MiningSummary

__all__ = ["MineSettings", "MiningSummary", "mine"]
