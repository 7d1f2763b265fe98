"""Whether a model can learn on a task: each check passes, fails or cannot be judged, by its interval."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from rrr_core.conformance import MODEL_CHECKS, CheckSettings, Result, Trainee, checks_of
from rrr_core.conformance.checks import chosen
from rrr_core.episode import Generation
from rrr_core.errors import ModelError, RrrError
from rrr_core.hookspecs import Message, Model
from rrr_core.probing.estimates import gain, intraclass, spread, worth
from rrr_core.probing.sampling import Plan, Sampler
from rrr_core.probing.settings import TRIES
from rrr_core.progress import Progress
from rrr_core.verdicts import FULL
from rrr_core.verification import Judge, VerifySettings
from tests.answering.test_calls import adding_task, reading
from tests.conformance.planted import Plant, install
from tests.fakes import Conversation, ScriptedGenerator

SMALL_BATCH = Plant(
    "",
    "",
    "@hookimpl\ndef rrr_manifest",
    "@hookimpl\ndef rrr_presets(command):\n    return {'train': {'batch_size': 16}} if command == 'demo' else None\n\n"
    "\n"
    "@hookimpl\ndef rrr_manifest",
)
"""Two groups a step."""


def learns(first: float, good: float, bad: float, share: float = 0.5) -> Any:
    """A script for the sound plugin's sums: even numbers are easy, and a share of the reflections is good.

    `first` is the pass rate of a first try at an easy row; a hard row has none.
    """

    def script(conversation: Conversation, chance: random.Random) -> str:
        number = int(conversation[0]["content"].split()[2])
        right = str(2 * number + 1)
        said = [each["content"] for each in conversation if each["role"] == "assistant"]
        if len(conversation) == 1:
            return right if chance.random() < first * (number % 2 == 0) else "7"
        if "got the wrong" in conversation[-1]["content"] or "went wrong" in conversation[-1]["content"]:
            return "good" if chance.random() < share else "bad"
        return right if chance.random() < (good if said[-1] == "good" else bad) else "8"

    return script


def results(script: Any, rows: int = 40, site: Any = None, plant: Plant | None = SMALL_BATCH) -> dict[str, Result]:
    install(site, plant)
    trainee = Trainee(lambda task: ScriptedGenerator(script))
    settings = CheckSettings(rows=60, compared=60, model_rows=rows)
    checks = checks_of("sums", (), None, VerifySettings(workers=1), settings, tuple(MODEL_CHECKS), trainee)
    with checks[0].subject:
        return {each.name.removeprefix("check_"): each.run() for each in checks}


def states(found: dict[str, Result]) -> list[str]:
    return [each.state for each in found.values()]


def test_a_model_that_learns_passes_all_and_every_finding_has_its_interval(site: Any) -> None:
    found = results(learns(0.6, 0.7, 0.2), site=site)
    assert states(found) == ["passed"] * 4, found
    assert all("[" in each.note for each in found.values())
    assert "of the 2 groups of a step" in found["groups_have_a_signal"].note
    assert found["reward_can_be_reached"].figures["pass_at_8"] == pytest.approx(0.5, abs=0.1)
    assert 0.1 < found["reflections_make_a_difference"].figures["reflection_that_worked_over_any"] < 0.3


def test_a_reward_that_is_out_of_reach_fails_and_the_others_wait_for_that(site: Any) -> None:
    found = results(learns(0.0, 0.0, 0.0), site=site)
    assert states(found) == ["failed", "skipped", "skipped", "skipped"]
    message = found["reward_can_be_reached"].message
    assert "no try of 320 on 40 rows passed, 0% [0%, 9%]: 320 'wrong sum'. Warm the model up" in message
    assert {each.waits_for for each in found.values()} == {"", "check_reward_can_be_reached"}


def test_too_few_rows_to_say_that_it_is_out_of_reach_are_no_failure(site: Any) -> None:
    found = results(learns(0.0, 0.0, 0.0), rows=10, site=site)
    assert states(found) == ["cannot be judged", "skipped", "skipped", "skipped"]
    assert found["reward_can_be_reached"].message.endswith("Take more rows with --model-rows.")


def test_a_model_that_is_always_right_has_nothing_to_learn(site: Any) -> None:
    always = lambda conversation, chance: str(2 * int(conversation[0]["content"].split()[2]) + 1)  # noqa: E731
    found = results(always, site=site)
    assert states(found) == ["passed", "skipped", "failed", "skipped"]
    assert "no try failed on 40 rows, 0% [0%, 9%], so nothing shows which are hard" in (
        found["groups_have_a_signal"].message
    )


def test_rows_that_are_equally_hard_do_not_separate(site: Any) -> None:
    def even(conversation: Conversation, chance: random.Random) -> str:
        right = str(2 * int(conversation[0]["content"].split()[2]) + 1)
        return right if chance.random() < 0.5 else "7"

    found = results(even, rows=60, site=site)
    assert found["rows_differ_in_difficulty"].state == "failed", found
    assert "of a verdict's variance is the row's" in found["rows_differ_in_difficulty"].message


def test_retries_that_ignore_their_reflections_leave_no_headroom(site: Any) -> None:
    found = results(learns(0.6, 0.4, 0.4), rows=60, site=site)
    assert states(found) == ["passed", "passed", "passed", "failed"], found
    assert "Retries ignore what they read" in found["reflections_make_a_difference"].message


def test_reflections_that_are_all_alike_leave_no_headroom_though_retries_read_them(site: Any) -> None:
    gold = learns(0.6, 0.4, 0.4)

    def script(conversation: Conversation, chance: random.Random) -> str:
        said = [each["content"] for each in conversation if each["role"] == "assistant"]
        # What was read is the right answer: it is copied.
        if len(said) == 2 and said[-1].isdigit():
            return str(said[-1])
        return str(gold(conversation, chance))

    found = results(script, rows=60, site=site)
    assert "Retries can use what they read" in found["reflections_make_a_difference"].message


def test_groups_without_spread_give_a_step_no_signal(site: Any) -> None:
    found = results(learns(0.6, 0.0, 0.0), site=site)
    assert found["groups_have_a_signal"].state == "failed"
    assert "0% [0%, 9%] of 40 groups of 8" in found["groups_have_a_signal"].message
    assert "no retry passes after any reflection" in found["reflections_make_a_difference"].message


def test_a_model_that_cannot_be_opened_cannot_be_judged(site: Any) -> None:
    install(site)

    def refuse(task: Any) -> Any:
        raise ModelError("no such model: x.")

    checks = checks_of("sums", only=tuple(MODEL_CHECKS), trainee=Trainee(refuse))
    with checks[0].subject:
        first, *others = [each.run() for each in checks]
    assert (first.state, first.message) == ("cannot be judged", "no such model: x.")
    assert {each.state for each in others} == {"skipped"}


def test_a_check_of_a_model_is_refused_without_one() -> None:
    with pytest.raises(RrrError, match="check_groups_have_a_signal needs a model"):
        chosen(["groups_have_a_signal"])


def test_rows_that_decide_alone_have_all_the_variance_and_equal_rows_none() -> None:
    assert intraclass([[True] * 4, [False] * 4]) == 1.0
    apart = spread([[True] * 8] * 10 + [[False] * 8] * 10)
    assert apart.p < 0.002
    assert apart.low > 0.9
    with pytest.raises(ValueError, match="nothing to compare"):
        spread([[True, True], [True, True]])


def test_choosing_what_worked_promises_nothing_where_retries_are_chance() -> None:
    chance = random.Random(0)
    rates = [chance.random() for _ in range(400)]
    groups = [([chance.random() < p for _ in range(8)], [chance.random() < p for _ in range(8)]) for p in rates]
    found = worth(groups)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high
    assert found.high - found.low < 0.1


def test_a_gain_leaves_withheld_verdicts_out() -> None:
    found = gain([([False, None], [True, None]), ([False], [None])])
    assert found is not None
    assert (found.value, found.count) == (1.0, 1)
    assert gain([([None], [True])]) is None


class Calling(ScriptedGenerator):
    """Calls a tool, and answers with what it reads."""

    def __init__(self) -> None:
        super().__init__(lambda said, _: "It is 5." if said[-1]["role"] == "tool" else "ADD")
        self.model = Model("calling", calls=True)

    def read_calls(self, made: Generation, prompt: Sequence[Message]) -> Generation:
        return reading(made, prompt)


class Narrow(Calling):
    """Its context is full after a call."""

    def has_room(self, conversation: Sequence[Message]) -> bool:
        return conversation[-1]["role"] != "tool"


@pytest.mark.parametrize(("engine", "passes"), [(Calling(), True), (Narrow(), False)])
def test_courses_are_played_as_in_mining_with_calls_read_and_within_the_context(engine: Calling, passes: bool) -> None:
    task = adding_task()
    with Judge(task, settings=VerifySettings(isolation="none")) as judge:
        sample = Sampler(task, engine, judge, Plan.of(task), Progress()).sample([{"n": 5}])
    assert sample.tries == [[passes] * TRIES]
    assert set(sample.classes) == (set() if passes else {FULL.category})
