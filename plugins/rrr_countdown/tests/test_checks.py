"""The checks of `rrr check countdown`."""

from __future__ import annotations

from collections.abc import Callable

from rrr_core.testing import parametrize_checks


@parametrize_checks("countdown")
def test_check(check: Callable[[], None]) -> None:
    check()
