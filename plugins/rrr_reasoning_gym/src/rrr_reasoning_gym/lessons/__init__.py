"""Worked conversations for the data sets that a tiny model can learn: the training data of `rrr warmup`."""

from __future__ import annotations

from rrr_reasoning_gym.lessons.making import REFLECTION_PROMPT, TAUGHT, conversations, prompt, retry_prompt

__all__ = ["REFLECTION_PROMPT", "TAUGHT", "conversations", "prompt", "retry_prompt"]
