"""The kinds of reflection by rule, and their figures."""

from __future__ import annotations

import random
import time

import pytest

from rrr_core.episode import Episode
from rrr_core.evaluation.anatomy import anatomy_of
from rrr_core.evaluation.reflection_kinds import KINDS, judged_part, kind_of
from rrr_core.verdicts import Verdict, abstained, failed, passed
from tests.episodes import make_episode

PROMPT = ({"role": "user", "content": "Use 44, 19, 35 to make 60."},)
MISSED = failed("missed target", "gives 98, not 60")
NUMBERS = failed("wrong numbers", "uses 44, 19, 19, not 44, 19, 35")


def reflected(
    reflection: str, first: Verdict = MISSED, retry: str = "<answer>44+35-19</answer>", **more: object
) -> Episode:
    facts = {"prompt": PROMPT, "attempt": "<answer>44+19+35</answer>", "second": passed(), **more}
    return make_episode(first, reflection=reflection, retry=retry, **facts)  # type: ignore[arg-type]


def kind(reflection: str, first: Verdict = MISSED, retry: str = "<answer>44+35-19</answer>", **more: object) -> str:
    episode = reflected(reflection, first, retry, **more)
    return kind_of(episode, episode.rounds[0])


@pytest.mark.parametrize(
    "text", ["", "I made a mistake. I will be more careful next time.", "1. Read again.\n2. Check the answer.", "é" * 9]
)
def test_what_says_nothing_of_its_row_is_generic(text: str) -> None:
    assert kind(text) == "generic"


@pytest.mark.parametrize("text", ["I got 98, not 60.", "My sum was 98.", "I missed the target."])
def test_what_the_verdict_found_is_named_though_the_model_never_saw_the_verdict(text: str) -> None:
    assert kind(text) == "named"


@pytest.mark.parametrize("text", ["I got 79, not 60.", "I used 19 twice.", "44+19=64, so I was 4 off."])
def test_something_specific_that_the_verdict_did_not_find_is_a_wrong_diagnosis(text: str) -> None:
    assert kind(text) == "wrong"


def test_where_the_verdict_finds_nothing_new_what_is_in_the_row_is_named_and_what_is_not_is_wrong() -> None:
    assert kind("I used 19 twice.", NUMBERS) == "named"
    assert kind("I used 7 twice.", NUMBERS) == "wrong"


@pytest.mark.parametrize(
    "text",
    [
        "I got 98, not 60. 44+19=63, 63+35=98, 98-60=38, half is 19.",
        "2*3 = 6, and 6 × 4 = 24, 24/6=4.",
        'Call it so: [{"name": "add", "arguments": {"a": 1}}]',
        "```python\nprint(40 + 20)\n```",
    ],
)
def test_a_sum_worked_out_or_code_is_a_solution(text: str) -> None:
    assert kind(text) == "worked"


def test_a_solution_with_a_false_sum_is_a_kind_of_its_own_and_a_leak_too() -> None:
    assert kind("44+19=63, 63+35=99, half is 19.") == "slipped"
    assert [each.key for each in KINDS if each.is_leak] == ["answer", "worked", "slipped"]


def test_a_sum_of_the_failed_answer_itself_is_no_solution() -> None:
    assert kind("3+4=7 and 4+5=9", attempt="3+4=7, 4+5=9", first=failed("off", "gives 9")) != "worked"


def test_an_answer_in_the_reflection_is_one_whether_it_is_right_or_not() -> None:
    assert kind("Try 44 + 35 - 19.") == "answer"
    assert kind("Try 44 + 35 - 19.", second=failed("missed target", "gives 60")) == "answer"
    control = {"no_reflection": (("<answer>35+44-19</answer>", passed()),)}
    assert kind("Try 35+44-19.", retry="<answer>1</answer>", second=MISSED, controls=control) == "answer"


def test_the_failed_answer_or_what_the_prompt_has_is_no_answer_given_away() -> None:
    assert kind("I wrote 44+19+35.", retry="<answer>44+19+35</answer>", second=MISSED) != "answer"
    assert kind("It is 60.", retry="60", second=MISSED) != "answer"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("<answer>1</answer> or <ANSWER> 2 </ANSWER>", "2"),
        ("so \\boxed{7}", "7"),
        ("```json\n[1]\n```", "[1]"),
        ("<answer>never closed", "<answer>never closed"),
        ("İ<answer>x</answer>", "x"),
        ("</answer><answer>", "</answer><answer>"),
    ],
)
def test_the_judged_part_is_the_last_tag_box_or_block(text: str, part: str) -> None:
    assert judged_part(text) == part


@pytest.mark.parametrize(
    "hostile",
    [
        *("[{" * 10_000, "<answer>" * 3000, "\n" * 20_000, "1+" * 10_000, "```" * 7000, "`a" * 10_000, "a_" * 10_000),
        *("1 + 2 = 4 " * 2000, "\\boxed{" * 3000, "9" * 20_000, "1/0=1, 2/0=2", "\ud800\x00\u202e"),
    ],
)
def test_hostile_text_is_decided_in_time_and_without_an_error(hostile: str) -> None:
    start = time.process_time()
    assert kind(hostile, failed("x y", hostile), hostile, attempt=hostile) in {each.key for each in KINDS}
    assert time.process_time() - start < 2


def test_every_text_has_exactly_one_kind() -> None:
    chance = random.Random(0)
    marks = ["1", "98", "+", "=", "`", "{", '"', "_", "a", " ", "target", "missed", "\n", "<answer>", "</answer>"]
    for _ in range(300):
        text = "".join(chance.choices(marks, k=chance.randint(0, 30)))
        assert kind(text) in {each.key for each in KINDS}


def test_the_anatomy_counts_shares_success_lengths_and_leaks() -> None:
    episodes = [
        reflected("Careful.", second=MISSED, tokens=4),
        reflected("Careful!", second=passed(), tokens=6),
        reflected("I got 98.", second=abstained("timeout", ""), tokens=5),
        reflected("44+35=79, 79-60=19.", second=passed()),
        make_episode(passed(), attempt="44+35-19"),
    ]
    found = anatomy_of(episodes)
    assert found is not None
    assert found.written == 4
    assert list(found.kinds) == ["worked", "named", "generic"]
    generic = found.kinds["generic"]
    assert (generic.share.passed, generic.share.total, generic.tokens) == (2, 4, 5.0)
    assert generic.right is not None
    assert (generic.right.passed, generic.right.total) == (1, 2)
    assert found.kinds["named"].right is None
    assert found.kinds["worked"].tokens is None
    assert (found.leaks.passed, found.leaks.total) == (1, 4)
    assert anatomy_of([]) is None
