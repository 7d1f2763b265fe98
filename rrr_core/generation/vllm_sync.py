"""Weight sync to vLLM servers: through a file in memory where they run on this machine, else over the network.

All servers have the new weights before any is asked for a text. Of LoRA the adapter alone is sent where they take it.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from rrr_core.errors import ModelError
from rrr_core.generation.sync_address import Address, address_towards, read_address
from rrr_core.generation.vllm_adapter import write_adapter
from rrr_core.generation.vllm_calls import VllmCalls
from rrr_core.generation.vllm_weights import file_weights
from rrr_core.generation.weight_fetch import TAKEN, UNREACHABLE
from rrr_core.generation.weight_offer import Parcel, offered, packed, packed_bytes

MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108
"""Where Linux keeps files in memory: the best place for weights in transit."""
LOOPBACK = Address("127.0.0.1")
"""Where a server on this machine fetches weights if another is elsewhere."""


class WeightSync:
    """Gives weights to the servers of one engine.

    `sync_address` is where this machine offers them, for all servers; without, the address by which it reaches each,
    and only if one of them is on another machine. Raises ModelError without such an address.
    """

    def __init__(self, servers: Sequence[VllmCalls], sync_address: str | None) -> None:
        self.servers = servers
        named = None if sync_address is None else read_address(sync_address)
        towards = [named or address_towards(each.server.address) for each in servers]
        self.is_near = all(address is None for address in towards)
        """Whether all servers run on this machine, and load the weights from its memory."""
        self.addresses = [address or LOOPBACK for address in towards]
        """This machine's address for each server."""

    def give(self, network: Any) -> None:
        """Have the servers load the network's weights."""
        if self.is_near:
            with in_memory() as place:
                path = place / "weights.safetensors"
                save_file({name: weight.contiguous().cpu() for name, weight in file_weights(network)}, path)

                def take(calls: VllmCalls, number: int) -> None:
                    self._check(calls, number, calls.in_workers("take_weight_file", str(path)), TAKEN)

                self._in_all(take)
        else:
            with packed(dict(file_weights(network))) as parcel, self._offered(parcel) as urls:

                def fetch(calls: VllmCalls, number: int) -> None:
                    arguments = (urls[number], parcel.sha256, parcel.size)
                    self._check(calls, number, calls.in_workers("fetch_weight_file", *arguments), TAKEN)

                self._in_all(fetch)
        self._in_all(lambda calls, _: calls.empty_cache())

    def give_adapter(self, network: Any, name: str, before: str | None) -> None:
        """Have the servers load the network's adapter under this name, and unload the one before it."""
        with in_memory() as place:
            write_adapter(network, place)
            if self.is_near:
                self._in_all(lambda calls, _: _change_adapter(calls, "load", lora_name=name, lora_path=str(place)))
            else:
                self._send_adapter(place, name)
        if before is not None:
            self._in_all(lambda calls, _: _change_adapter(calls, "unload", lora_name=before))
        self._in_all(lambda calls, _: calls.empty_cache())

    def _send_adapter(self, place: Path, name: str) -> None:
        config = (place / "adapter_config.json").read_text(encoding="utf-8")
        weights = (place / "adapter_model.safetensors").read_bytes()
        with packed_bytes(weights) as parcel, self._offered(parcel) as urls:

            def send(calls: VllmCalls, number: int) -> None:
                folder_name = secrets.token_hex(16)
                arguments = (folder_name, config, urls[number], parcel.sha256, parcel.size)
                try:
                    results = calls.in_workers("fetch_adapter", *arguments)
                    folder = results[0].removeprefix(f"{TAKEN} ")
                    self._check(calls, number, results, f"{TAKEN} {folder}")
                    _change_adapter(calls, "load", lora_name=name, lora_path=folder)
                finally:
                    calls.in_workers("drop_adapter", folder_name)

            self._in_all(send)

    @contextmanager
    def _offered(self, parcel: Parcel) -> Iterator[list[str]]:
        """The parcel's URL for each server."""
        with offered(parcel, dict.fromkeys(self.addresses)) as urls:
            yield [urls[address] for address in self.addresses]

    def _check(self, calls: VllmCalls, number: int, results: Sequence[str], expected: str) -> None:
        """Raise ModelError unless each of a server's workers gave the expected answer."""
        for result in results:
            if result == expected:
                continue
            reason = calls.connection.safe(result)
            if result.startswith(UNREACHABLE):
                raise ModelError(
                    f"{calls.who} {reason}: name an address and a port of this machine that it can reach, with"
                    f" --sync-address HOST:PORT (now {self.addresses[number]})."
                )
            raise ModelError(f"{calls.who} did not take the weights: it {reason}.")

    def _in_all(self, call: Callable[[VllmCalls, int], None]) -> None:
        """Call with each server and its number, all at a time. Raises what the first raises."""
        with ThreadPoolExecutor(len(self.servers)) as pool:
            for _ in pool.map(call, self.servers, range(len(self.servers))):
                pass


def check_kept(servers: Sequence[VllmCalls], counts: Sequence[Sequence[str]]) -> None:
    """Raise ModelError unless each server has taken so many files: one that restarted has its old weights."""
    for calls, before in zip(servers, counts, strict=True):
        if calls.weight_counts() != before:
            raise ModelError(
                f"{calls.who} no longer has the weights it was given: it was restarted, or another run trains with it."
                " Give the server to this run alone, and run the same command again."
            )


def _change_adapter(calls: VllmCalls, change: str, **what: str) -> None:
    calls.ask(f"/v1/{change}_lora_adapter", what)


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder for weights in transit, which is gone at the end."""
    folder = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="rrr-weights-", dir=folder) as place:
        yield Path(place)
