"""The table of the core's engines. Settings, command line, training and doctor read it; it imports no engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rrr_core.generation.engine_spec import POLICY, EngineSpec

AUTO = "auto"
"""The engine name that has one chosen."""
_CHAT = ("template", "template_name", "template_date", "thought_marks", "keep_thoughts")
_PACE = ("concurrency", "timeout", "retries", "api_key_env", "server_headers_env")


@dataclass(frozen=True, kw_only=True)
class CoreEngine(EngineSpec):
    """An engine of the core."""

    extra: str
    """The extra of rrr-core that installs its packages."""
    without: str
    """What cannot be done without it."""
    ignores: Collection[str] = ()
    """Fields of ModelSettings it harmlessly ignores, so that one file can configure several engines."""


CORE_ENGINES: Mapping[str, CoreEngine] = {
    "transformers": CoreEngine(
        open="rrr_core.generation.transformers_backend:load_from",
        beside=POLICY,
        takes=("revision", "adapter", "family", "dtype", "device", "batch_tokens", *_CHAT),
        ignores=("gpu_share", *_PACE),
        extra="train",
        without="no generation with transformers and no training",
    ),
    "vllm": CoreEngine(
        open="rrr_core.generation.vllm_backend:load_vllm",
        beside="rrr_core.generation.vllm_backend:open_beside",
        takes=("revision", "adapter", "family", "dtype", "gpu_share", "base_url", "sync_address", *_CHAT, *_PACE),
        extra="vllm",
        without="no generation with vLLM (--backend vllm), and none to serve a model with",
    ),
    "server": CoreEngine(
        open="rrr_core.generation.server:open_server",
        takes=("family", "base_url", "server_body", "template", "thought_marks", *_PACE),
        needs=("base_url",),
        ignores=("dtype", "batch_tokens", "gpu_share"),
        extra="server",
        without="no model behind an OpenAI-compatible server (--base-url)",
    ),
}
"""Name → engine, in the order of the documentation."""
