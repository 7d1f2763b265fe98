"""The checks of `rrr check sqlite`."""

from __future__ import annotations

from collections.abc import Callable

from rrr_core.testing import parametrize_checks


@parametrize_checks("sqlite")
def test_check(check: Callable[[], None]) -> None:
    check()
