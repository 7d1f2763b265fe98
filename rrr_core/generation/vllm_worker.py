"""Weight sync for `vllm serve`, with `--worker-extension-cls rrr_core.generation.vllm_worker.WeightFile`.

vLLM's worker imports this module before it loads a model, which keeps weights on a CPU replaceable.
"""

from __future__ import annotations

from typing import Any

import torch
from safetensors import safe_open

from rrr_core.generation.vllm_start import is_installed, keep_plain_products
from rrr_core.generation.vllm_weights import take_weights

if is_installed() and not torch.cuda.is_available():
    keep_plain_products()


class WeightFile:
    """Extra methods of vLLM's worker, called in each worker through `/collective_rpc`."""

    model_runner: Any
    """The worker's."""
    weight_files_taken = 0

    def take_weight_file(self, path: str) -> str:
        """Load a safetensors file, with names as in the model's own files, into the model."""
        self.weight_files_taken += 1
        with safe_open(path, "pt") as file:
            take_weights(self.model_runner.model, ((name, file.get_tensor(name)) for name in file.keys()))  # noqa: SIM118
        return "taken"

    def count_weight_files(self) -> str:
        """How many were taken: `0` means the weights are the model's own."""
        return str(self.weight_files_taken)
