"""An engine of token ids that writes what a script says, for texts that no model could be relied on to write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from transformers import AutoTokenizer

from rrr_core.chat.format import ChatFormat
from rrr_core.chat.settings import ChatSettings
from rrr_core.generation.encoded import EncodedEngine
from rrr_core.generation.engine import Sampling
from rrr_core.hookspecs import Model
from tests.thinking.make_model import MODEL

END = "<|end|>"


@cache
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(MODEL)


class Scripted(EncodedEngine):
    """Writes `script(prompt)`, with its special tokens, up to the end token or the limit.

    Texts on two sides of a `\0` are encoded apart, so that `<\0|end|>` is no token, but its spelling.
    """

    off_policy = False

    def __init__(self, script: Callable[[str], str], settings: ChatSettings | None = None) -> None:
        chat = ChatFormat(tokenizer(), settings)
        super().__init__(tokenizer(), Model("scripted", "rrr-tiny"), chat.end_ids(), None, chat)
        self.script = script
        self.asked: list[tuple[list[int], list[int]]] = []
        """Prompts with what was written on them."""

    def generate_ids(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
        places: Sequence[int] | None = None,
    ) -> list[list[int]]:
        made = [self._write(list(prompt), sampling.max_tokens) for prompt in prompts]
        self.asked += [(list(prompt), ids) for prompt, ids in zip(prompts, made, strict=True)]
        return made

    def describe(self) -> dict[str, object]:
        return self.described("scripted", {})

    def sync_weights(self, network: Any) -> None:
        pass

    def _write(self, prompt: list[int], limit: int) -> list[int]:
        parts = self.script(self.tokenizer.decode(prompt)).split("\0")
        ids = [token for part in parts for token in self.tokenizer(part, add_special_tokens=False)["input_ids"]]
        ends = [place for place, token in enumerate(ids) if token in self.end_ids]
        return ids[: min([limit, *(place + 1 for place in ends)])]
