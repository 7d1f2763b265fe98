"""Special tokens spelled in text from elsewhere, which must not become real ones.

Rows, prompts, and attempts read back from a file may spell a control token, such as `<|im_end|>`. A tokenizer would
turn it into the real token, and an attempt could end its own turn and speak as the user. So every spelling of a special
token in a message is broken with a space before the chat template sees it. A message without one is untouched. Markers
that are plain text to the tokenizer, such as a template's literal `[INST]`, look like prose and stay.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any


def neutral(tokenizer: Any, text: str, further: frozenset[str] = frozenset()) -> str:
    """`text` with every spelling of a special token, and of `further` tokens, broken after its first character.

    `<|im_end|>` becomes `< |im_end|>`. Added tokens that are not special, such as Qwen3's `<think>`, stay.
    """
    return _broken(text, _special_spellings(tokenizer, len(tokenizer), further))


def broken(text: str, spellings: Collection[str]) -> str:
    """`text` with every one of the spellings broken after its first character.

    >>> broken("I close with </think>.", ["</think>"])
    'I close with < /think>.'
    """
    return _broken(text, _any_of(spellings))


def _broken(text: str, pattern: re.Pattern[str] | None) -> str:
    while pattern is not None and pattern.search(text):
        text = pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}" if len(found[0]) > 1 else " ", text)
    return text


@lru_cache(maxsize=8)
def _special_spellings(tokenizer: Any, size: int, further: frozenset[str]) -> re.Pattern[str] | None:  # noqa: ARG001 - the cache's key
    """Matches the texts that the tokenizer, of `size` tokens, turns into special tokens; None if it has none."""
    return _any_of({*further, *(token.content for token in tokenizer.added_tokens_decoder.values() if token.special)})


def _any_of(spellings: Collection[str]) -> re.Pattern[str] | None:
    escaped = [re.escape(spelling) for spelling in sorted(spellings, key=len, reverse=True) if spelling.strip()]
    return re.compile("|".join(escaped)) if escaped else None
