"""Several servers of one model: requests go to the least busy, and one that fails rests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_REST = 60.0
"""Seconds after which a server that failed is asked again, at the latest; unless it asks for longer itself."""


@dataclass(slots=True)
class Server:
    """One server, and how it does."""

    address: str
    busy: int = 0
    """Requests in flight."""
    failures: int = 0
    """Times it has failed since it last answered."""
    rests_from: float = float("-inf")
    rests_until: float = float("-inf")
    """No request is sent to it before then while another server is awake."""

    def failed(self, asked_at: float, now: float, rest: float) -> None:
        """Have it rest, longer each time. Requests that failed together count as one failure."""
        if asked_at >= self.rests_from:
            self.failures += 1
            self.rests_from = now
            self.rests_until = now + max(rest, min(rest * 2 ** (self.failures - 1), LONGEST_REST))

    def answered(self) -> None:
        self.failures = 0


def least_busy(servers: Sequence[Server], now: float) -> Server:
    """The server for the next request: the least busy that is awake; if all rest, the one that wakes first.

    >>> a, b = Server("a", busy=2), Server("b", busy=1)
    >>> least_busy([a, b], now=0).address
    'b'
    >>> b.failed(asked_at=0, now=0, rest=5)
    >>> least_busy([a, b], now=1).address, least_busy([a, b], now=6).address
    ('a', 'b')
    """
    awake = [server for server in servers if server.rests_until <= now]
    if awake:
        return min(awake, key=lambda server: server.busy)
    return min(servers, key=lambda server: server.rests_until)
