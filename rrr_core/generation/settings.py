"""Settings of a model and its engine. Imports no torch, so that the command line starts quickly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from rrr_core.chat.settings import ChatSettings, json_or_text, template_arguments
from rrr_core.config.option import option
from rrr_core.config.settings import Settings
from rrr_core.errors import ModelError
from rrr_core.generation.engines import AUTO, CORE_ENGINES

RESERVED: Mapping[str, str] = {
    "model": "--model names it",
    "messages": "they are the task's prompts",
    "temperature": "use --temperature",
    "top_p": "use --top-p",
    "seed": "use --seed",
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), "use --max-tokens"),
    "chat_template_kwargs": "use --template",
    **dict.fromkeys(("n", "stream", "logprobs"), "the reply would have another form"),
    **dict.fromkeys(("tools", "functions"), "the reply would hold calls, and not the text that a task judges"),
}
"""Fields of a request that `server_body` may not have, and why."""
DTYPES = ("auto", "float32", "bfloat16", "float16")


def _of_other_distributions() -> list[str]:
    from rrr_core.generation.entries import other_names

    return other_names()


@dataclass(frozen=True)
class ModelSettings(Settings):
    """Which model, and how it is run."""

    model: str | None = option(
        None,
        "A hub name, a folder, a GGUF file, pip:NAME for the GGUF file that an installed distribution carries, or the"
        " name a server gives its model.",
    )
    revision: str | None = option(None, "Branch, tag or commit of a hub model.")
    adapter: str | None = option(None, "A peft adapter to put on the model: a hub name or a folder.")
    backend: str = option(
        AUTO,
        "The inference engine; auto is server if a base URL is given, vllm if vLLM and a CUDA GPU are available, else"
        " transformers. Other packages can add more: `rrr doctor` lists them.",
        choices=(AUTO, *CORE_ENGINES),
        further=_of_other_distributions,
    )
    family: str | None = option(
        None, "The model family prompts are worded for, such as qwen; by default inferred from the model."
    )
    dtype: str = option("auto", "Type of the weights in memory; auto is as they are stored.", choices=DTYPES)
    device: str | None = option(None, "Where transformers runs, such as cpu or cuda:0; by default the accelerator.")
    batch_tokens: int | None = option(
        None,
        "Rows in a batch times the longest they may grow to, in tokens: lower it if memory runs out."
        " By default 32768 on a CPU and 65536 on an accelerator.",
        minimum=1,
    )
    gpu_share: float | None = option(
        None,
        "Share of the GPU's memory that vLLM takes; by default 0.9, and 0.3 beside training.",
        minimum=0.01,
        maximum=1,
    )
    template: Mapping[str, str] = option(
        {},
        "What the chat template is given, as KEY=JSON: enable_thinking=false, reasoning_effort=low. With a server, its"
        " chat_template_kwargs.",
    )
    template_name: str | None = option(
        None, "Which of a tokenizer's named chat templates, such as tool_use; by default as transformers chooses."
    )
    template_date: str | None = option(
        None, "The date, such as 2026-11-28, for a chat template that writes one; by default the day the run began."
    )
    thought_marks: str | None = option(
        None,
        "What opens and what closes a thought, such as '<think> </think>', or none; by default found in the chat"
        " template and the tokenizer. A third word, opened, says that the prompt opens it, as a server does not show.",
    )
    keep_thoughts: bool = option(
        False, "Keep earlier thoughts in the conversation, whatever the chat template does with them."
    )
    base_url: tuple[str, ...] = option(
        (),
        "Address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1; with vllm, of a `vllm serve`. May be"
        " repeated for several servers of one model: requests go to the least busy.",
        or_one=True,
    )
    sync_address: str | None = option(
        None,
        "HOST or HOST:PORT of this machine, where vLLM servers on other machines fetch the weights in training; by"
        " default the address by which this machine reaches them, and any free port.",
    )
    server_body: Mapping[str, str] = option(
        {},
        "A further field of each request, KEY=JSON, such as service_tier='\"flex\"'; what is not JSON is a text. May be"
        " repeated.",
    )
    server_headers_env: str | None = option(
        None,
        "Environment variable that holds further HTTP headers: a JSON object, or lines `Name: value`. They are written"
        " nowhere.",
    )
    api_key_env: str = option("OPENAI_API_KEY", "Environment variable that holds the server's key.")
    concurrency: int = option(16, "Requests in flight at a time.", minimum=1)
    timeout: float = option(300.0, "Seconds to wait for one whole answer of a server.", minimum=0.001)
    retries: int = option(5, "Retries of a request after a server or network fault.", minimum=0)

    def __post_init__(self) -> None:
        given: Any = self.base_url  # Python callers may give one address, or none
        if not isinstance(given, tuple):
            object.__setattr__(self, "base_url", (given,) if isinstance(given, str) and given else tuple(given or ()))
        super().__post_init__()

    @property
    def server_fields(self) -> dict[str, Any]:
        """The further fields of a request, parsed. Raises ModelError for a field that is rrr's own to set."""
        fields: dict[str, Any] = {}
        for name, text in self.server_body.items():
            if name in RESERVED:
                raise ModelError(f"--server-body {name} cannot be set: {RESERVED[name]}.")
            fields[name] = json_or_text(text)
        return fields

    @property
    def chat(self) -> ChatSettings:
        """How the chat template is used. Raises ModelError for a date that is none."""
        try:
            day = None if self.template_date is None else date.fromisoformat(self.template_date)
        except ValueError:
            raise ModelError(
                f"There is no date {self.template_date!r}: write --template-date like 2026-11-28."
            ) from None
        return ChatSettings(
            arguments=template_arguments(self.template),
            name=self.template_name,
            thought_marks=self.thought_marks,
            keep_thoughts=self.keep_thoughts,
            day=day,
        )

    @property
    def named(self) -> str:
        """The model's name. Raises ModelError if none is given."""
        if not self.model:
            raise ModelError("No model is named, and the task brings none: give --model.")
        return self.model
