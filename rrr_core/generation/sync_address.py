"""This machine's addresses, as vLLM servers on others see them: where they fetch weights."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from rrr_core.errors import ModelError
from rrr_core.generation.addresses import shown


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address of this machine, and a port; 0 is any free one."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


def read_address(text: str) -> Address:
    """What `--sync-address` names; a host name stands for its first address. Raises ModelError.

    >>> read_address("127.0.0.1:8500"), read_address("[::1]")
    (Address(host='127.0.0.1', port=8500), Address(host='::1', port=0))
    """
    wrong = f"--sync-address is HOST or HOST:PORT, such as 10.0.0.5:8500 or [fd00::5]:8500, and not {text!r}."
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:  # a broken port or IPv6 address
        raise ModelError(wrong) from error
    if not host or port == 0 or parts.username is not None or parts.netloc != text:
        raise ModelError(wrong)
    try:
        found = socket.getaddrinfo(host, port or None, type=socket.SOCK_STREAM)[0][4][0]
    except OSError as error:
        raise ModelError(f"--sync-address: there is no host {host!r}: name an address of this machine.") from error
    if ip_address(found).is_unspecified:
        raise ModelError(
            f"--sync-address {text!r} names every address of this machine: name the one that the servers reach."
        )
    return Address(str(found), port or 0)


def address_towards(base_url: str) -> Address | None:
    """This machine's address on the way to a server; None if the server is on this machine. Raises ModelError.

    Nothing is sent: for a datagram socket to connect is to look up the route.
    """
    parts = urlsplit(base_url)
    try:
        family, _, _, _, there = socket.getaddrinfo(
            parts.hostname, parts.port or (443 if parts.scheme == "https" else 80), type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(there)
            own, other = probe.getsockname()[0], probe.getpeername()[0]
    except OSError as error:
        raise ModelError(
            f"There is no route to the server {shown(base_url)}: name this machine's address for it with"
            " --sync-address HOST."
        ) from error
    return None if own == other or ip_address(other).is_loopback else Address(own)
