"""A task that claims the name of rrr-sound's."""

from rrr_sound import *  # noqa: F403
