"""An engine that repeats the question: it exercises a task's prompts and verifier without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version

from rrr_core import Message, Model
from rrr_core.generation import Engine, EngineSpec, Generation, ModelSettings, Sampling

ENGINE = EngineSpec(open="rrr_echo_engine:open_echo", takes=["family"])


class EchoEngine(Engine):
    """Returns each conversation's last message, cut to as many words as there may be tokens."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        answers = []
        for conversation in conversations:
            words = conversation[-1]["content"].split()
            kept = words[: sampling.max_tokens]
            answers.append(Generation(" ".join(kept), finish="stop" if kept == words else "length"))
            if on_done is not None:
                on_done(1)
        return answers

    def describe(self) -> dict[str, object]:
        return {"backend": "echo", "name": self.model.name, "rrr-echo-engine": version("rrr-echo-engine")}


def open_echo(settings: ModelSettings) -> EchoEngine:
    return EchoEngine(Model(settings.named, settings.family or "generic"))
