"""What an engine gives for one request."""

from __future__ import annotations

from dataclasses import dataclass

from rrr_core.hookspecs import Call


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model wrote in answer to one request."""

    text: str
    """The answer, without its thought."""
    token_ids: tuple[int, ...] = ()
    """The sampled ids, with the end token if the model wrote one; empty if the engine does not give them."""
    finish: str = "stop"
    """`stop`, or `length` if the token limit cut it off."""
    thought: str = ""
    """What the model thought before its answer."""
    is_thinking: bool = False
    """Whether it ended within its thought, so that there is no answer."""
    missing: str = ""
    """Why the engine has no answer, such as `content filter`: nobody's failure. Empty for most."""
    calls: tuple[Call, ...] = ()
    """The tools it calls after its text, in a task with steps whose prompt shows tools."""
    counted: int | None = None
    """Tokens of thought and answer, as a server counts them that gives no ids."""

    @property
    def is_cut_off(self) -> bool:
        return self.finish == "length"

    @property
    def length(self) -> int | None:
        """Tokens of thought and answer, end token included; None if the engine does not count them."""
        return len(self.token_ids) or self.counted
