"""Weight sync for `vllm serve`, with `--worker-extension-cls rrr_core.generation.vllm_worker.WeightFile`.

vLLM's worker imports this module before it loads a model, which keeps weights on a CPU replaceable.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from rrr_core.errors import ModelError
from rrr_core.generation.vllm_start import is_installed, keep_plain_products
from rrr_core.generation.vllm_weights import take_weights
from rrr_core.generation.weight_fetch import TAKEN, fetched, receive
from rrr_core.text import one_line

if is_installed() and not torch.cuda.is_available():
    keep_plain_products()

MOST_BYTES_EACH, MOST_BYTES_BESIDE = 8, 16 << 20
"""What is fetched at most: bytes for each of the model's parameters, and beside them."""
ADAPTER_SECONDS = 600.0
"""After which a fetched adapter leaves this machine even if its trainer was killed."""


class WeightFile:
    """Extra methods of vLLM's worker, called in each worker through `/collective_rpc`.

    vLLM hides from the caller what a method raises, so those that fetch give their reasons as texts.
    """

    model_runner: Any
    """The worker's."""
    parallel_config: Any
    """The worker's."""
    weight_files_taken = 0

    def take_weight_file(self, path: str) -> str:
        """Load a safetensors file, with names as in the model's own files, into the model."""
        self.weight_files_taken += 1
        with safe_open(path, "pt") as file:
            take_weights(self.model_runner.model, ((name, file.get_tensor(name)) for name in file.keys()))  # noqa: SIM118
        return TAKEN

    def fetch_weight_file(self, url: str, sha256: str, size: int) -> str:
        """Load a file as `take_weight_file` does, from a trainer on another machine: `taken`, or why not.

        Nothing of it is loaded before all of it is here and verified.
        """
        try:
            with fetched(url, sha256, size, self._most_bytes()) as path:
                return self.take_weight_file(path)
        except ModelError as error:
            return str(error)

    def count_weight_files(self) -> str:
        """How many were taken: `0` means the weights are the model's own."""
        return str(self.weight_files_taken)

    def fetch_adapter(self, name: str, config: str, url: str, sha256: str, size: int) -> str:
        """Fetch a LoRA adapter into a temporary folder: its path after `taken `, or why not.

        Workers on one machine share the folder.
        """
        try:
            folder = adapter_folder(name)
            place = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
            try:
                (place / "adapter_config.json").write_text(config, encoding="utf-8")
                with open(place / "adapter_model.safetensors", "wb") as file:
                    receive(url, sha256, size, self._most_bytes(), file)
                _put(place, folder)
            finally:
                shutil.rmtree(place, ignore_errors=True)
        except ModelError as error:
            return str(error)
        except OSError as error:
            return f"cannot write the adapter ({one_line(error, 200)})"
        timer = threading.Timer(ADAPTER_SECONDS, shutil.rmtree, [folder], {"ignore_errors": True})
        timer.daemon = True
        timer.start()
        return f"{TAKEN} {folder}"

    def drop_adapter(self, name: str) -> str:
        """Delete the folder of an adapter that is loaded."""
        shutil.rmtree(adapter_folder(name), ignore_errors=True)
        return TAKEN

    def _most_bytes(self) -> int:
        """The longest file: all workers' parameters as float64, of which this one may hold a part."""
        own: int = sum(weight.numel() for _, weight in self.model_runner.model.named_parameters())
        return own * int(self.parallel_config.world_size) * MOST_BYTES_EACH + MOST_BYTES_BESIDE


def adapter_folder(name: str) -> Path:
    """Where the adapter of one sync lies. Raises ModelError for a name that no trainer makes."""
    if not re.fullmatch("[0-9a-f]{32}", name):
        raise ModelError("takes adapters under random names alone")
    return Path(tempfile.gettempdir()) / f"rrr-adapter-{name}"


def _put(place: Path, folder: Path) -> None:
    """Give a folder its name, unless another worker has already put the same there."""
    try:
        place.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
