"""The tiny model of the generation tests."""

from tests.generation.conftest import *  # noqa: F403
