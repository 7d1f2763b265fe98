"""Where a chat template drops the thoughts of earlier turns, later prompts are shorter than what was written."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from rrr_core.episode import Segment
from rrr_core.planning.lengths import Lengths, Texts
from rrr_core.planning.rendered import Rendered
from rrr_core.planning.stages import Conversations

THOUGHTFUL = Segment("attempt", text="4 + 5 = 9", thought="let me see", length=100)


def rendered(*, extends: bool) -> Rendered:
    chat: Any = SimpleNamespace(tokenizer=lambda text, **_: {"input_ids": list(text)})
    return Rendered(chat, Lengths((10.0,)), 0, 12.0, 8.0, {}, extends)


def test_the_answer_and_its_end_are_the_share_that_is_shown() -> None:
    assert rendered(extends=False).shown([THOUGHTFUL]) == 0.1


def test_all_is_shown_where_a_conversation_goes_on_from_the_sampled_ids() -> None:
    assert rendered(extends=True).shown([THOUGHTFUL]) == 1


def test_texts_of_unknown_length_count_as_shown() -> None:
    assert rendered(extends=False).shown([replace(THOUGHTFUL, length=None)]) == 1


def test_later_prompts_hold_what_is_shown_of_earlier_texts(texts: Texts) -> None:
    talk = Conversations(replace(texts, extends=False, shown=0.2, reflection_shown=0.5), 200)
    assert talk.reflections(1).given == 100 + 0.2 * 50 + 20
    assert talk.retries(1).given == talk.reflections(1).given + 0.5 * 60 + 10
    assert talk.at_once(1).given == 100 + 0.2 * 50 + 10
    assert talk.retries(1).fresh == pytest.approx(talk.retries(1).given - 100)
