"""Job scripts for several machines: what to submit to Slurm or SkyPilot, or to run on each machine of a Ray cluster.

A script uses the launchers that exist, `srun`, `torchrun` and `ray start`, and one rrr command. Nothing here runs it.
"""

from __future__ import annotations

from rrr_core.launch.scripts import PLACES, job_script
from rrr_core.launch.settings import LaunchSettings

__all__ = ["PLACES", "LaunchSettings", "job_script"]
