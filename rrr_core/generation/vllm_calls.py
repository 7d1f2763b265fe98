"""One vLLM server's endpoints besides completions: what it serves, and how it changes its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rrr_core.errors import ModelError
from rrr_core.generation.addresses import shown
from rrr_core.generation.connection import Connection, Unreadable, called
from rrr_core.generation.exchange import Reply
from rrr_core.generation.pool import Server
from rrr_core.generation.replies import read_json

COMMAND = (
    "VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --worker-extension-cls rrr_core.generation.vllm_worker.WeightFile"
    " --logprobs-mode processed_logprobs --enable-prompt-tokens-details"
)
"""The command that starts a server for training."""
ADAPTER_COMMAND = f"VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 {COMMAND} --enable-lora --max-lora-rank RANK"
"""The command that starts a server for training of which adapters alone are synced."""
MOST_BYTES = 16 << 20
"""The longest answer to anything but a prompt: a server's settings, a list of its models."""
EXTENSION = "vllm_worker.WeightFile"
"""The suffix of the worker extension that takes weights in the server."""


@dataclass(frozen=True, slots=True)
class VllmCalls:
    """Calls to one server. Each raises ModelError if the server cannot be reached, or refuses."""

    connection: Connection
    server: Server

    @property
    def who(self) -> str:
        return f"The server {shown(self.server.address)}"

    def context(self) -> int | None:
        """The served model's context. Raises ModelError if the server has no such model."""
        models = self.call("/v1/models").get("data")
        names = []
        for model in models if isinstance(models, list) else []:
            names.append(str(_at(model, "id")))
            if names[-1] == self.connection.model:
                context = _at(model, "max_model_len")
                return context if isinstance(context, int) else None
        raise ModelError(
            f"{self.who} serves no model {self.connection.model!r}, but"
            f" {self.connection.safe(', '.join(names))}: name it so, or serve it with --served-model-name."
        )

    def most_rank(self) -> int:
        """The highest rank of adapters that the server takes; 0 if it takes none.

        Raises ModelError for a server that cannot take weights, or reports other log-probabilities than it uses.
        """
        info = self.call("/server_info?config_format=json")
        mode, extension = _at(info, "vllm_config", "model_config", "logprobs_mode"), _extension(info)
        if mode != "processed_logprobs" or not extension.endswith(EXTENSION):
            raise ModelError(
                f"{self.who} cannot be trained with (its --logprobs-mode is {mode},"
                f" its --worker-extension-cls {extension or 'not set'}): start it with `{COMMAND}`."
            )
        most = _at(info, "vllm_config", "lora_config", "max_lora_rank")
        return most if isinstance(most, int) else 0

    def check_untrained(self) -> None:
        """Raise ModelError for a server that still has the weights of a training run."""
        try:
            info = self.call("/server_info?config_format=json")
        except ModelError:  # a server that does not say
            return
        if not _extension(info).endswith(EXTENSION):
            return
        counts = self.weight_counts()
        if counts != ["0"] * len(counts):
            raise ModelError(
                f"{self.who} has the weights of a training run, not those of {self.connection.model!r}: start it again."
            )

    def weight_counts(self) -> list[str]:
        """How many files of weights each of its workers has taken."""
        return self.in_workers("count_weight_files")

    def empty_cache(self) -> None:
        """Empty the prefix cache."""
        if not self.call("/reset_prefix_cache", {}).get("success", True):
            raise ModelError(f"{self.who} did not empty its prefix cache, which the old weights computed.")

    def in_workers(self, method: str, *arguments: object) -> list[str]:
        """What a method of the worker extension gives in each of the server's workers."""
        results = self.call("/collective_rpc", {"method": method, "args": list(arguments)}).get("results")
        if not isinstance(results, list) or not results:
            raise ModelError(f"{self.who} has no worker that answers {method}: see its log.")
        return [str(result) for result in results]

    def call(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object in the answer to one request: GET, or POST with a body; empty for an empty answer."""
        reply = self.ask(path, body)
        if not reply.body:
            return {}
        try:
            return read_json(reply)
        except Unreadable as unreadable:
            said = self.connection.safe(reply.body, 120)
            raise ModelError(f"{self.who} answers {path} with no JSON ({said!r}): is it vLLM?") from unreadable

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Reply:
        """As `call`, whatever the answer is."""
        reply = called(self.connection, self.server, path, body, MOST_BYTES)
        if reply.status == 404:
            command = ADAPTER_COMMAND if path.endswith("_lora_adapter") else COMMAND
            raise ModelError(f"{self.who} has no {path}: start it with `{command}`.")
        if not 200 <= reply.status < 300:
            said = self.connection.safe(reply.body)
            raise ModelError(f"{self.who} failed at {path} (HTTP {reply.status}: {said}): see its log.")
        return reply


def _extension(info: Mapping[str, Any]) -> str:
    return str(_at(info, "vllm_config", "parallel_config", "worker_extension_cls") or "")


def _at(value: Any, *keys: str) -> Any:
    """What lies under the keys of nested objects; None where a server sent something else."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
