"""The overlay `think`: asks for a thought in `<think>` marks before each answer, of a model that does not think itself.

Run it with `--thought-marks '<think> </think>'`, so that the marks are read: the verifier then sees the answer alone.
The reflection is asked for as always, since it is a thought itself.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from rrr_core.hookspecs import Message, hookimpl

MARKS = "<think> </think>"
"""For `--thought-marks`."""
ASK = "First think step by step between <think> and </think>. Then write your answer after </think>."
Asked = str | Sequence[Message] | None


@hookimpl(wrapper=True)
def rrr_prompt() -> Generator[None, Asked, Asked]:
    prompt = yield
    if isinstance(prompt, str):
        return asking(prompt)
    last = prompt[-1] if isinstance(prompt, Sequence) and prompt else None
    if not isinstance(last, Mapping) or not isinstance(last.get("content"), str):
        return prompt  # The core says what is wrong with it.
    return [*prompt[:-1], {**last, "content": asking(last["content"])}]  # type: ignore[index]


@hookimpl(wrapper=True)
def rrr_retry_prompt() -> Generator[None, str | None, str | None]:
    given = yield
    return asking(given) if isinstance(given, str) else given  # None: the core asks with the prompt's last message


def asking(text: str) -> str:
    """A message that asks for a thought at its end."""
    return f"{text}\n\n{ASK}"
