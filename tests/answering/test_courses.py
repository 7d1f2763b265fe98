"""An answer as it is played: one text, or a course of actions; where a course ends, and what is judged of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from rrr_core.answering import Fits, always_fits, check_max_steps, play_answers, play_courses, play_round
from rrr_core.conversation import conversation
from rrr_core.episode import Episode, Generation, Segment
from rrr_core.errors import RrrError
from rrr_core.hookspecs import Model, Row, Step, final, hookimpl, observed, trusted
from rrr_core.tasks import Task
from rrr_core.verdicts import FULL, Verdict, passed
from rrr_core.verification import Judge, VerifySettings
from tests.fakes import numbers_task, task_of
from tests.stepping import HELP, bisection_task

HERE = VerifySettings(isolation="none")
NUMBER = {"number": 5, "most": 7}
ASKED = Segment("prompt", ({"role": "user", "content": "Find it."},))
Said = str | Generation


class Player:
    """Draws given texts, one list for each episode, and remembers what it was asked."""

    def __init__(self, *courses: Sequence[Said]) -> None:
        self.left = {place: list(course) for place, course in enumerate(courses)}
        self.stages: list[tuple[str, list[int]]] = []
        self.seen: list[list[dict[str, str]]] = []

    def __call__(self, stage: str, episodes: Sequence[Episode]) -> list[Generation]:
        self.stages.append((stage, [each.row_index for each in episodes]))
        self.seen += [conversation(each.segments) for each in episodes]
        said = [self.left[each.row_index].pop(0) for each in episodes]
        return [each if isinstance(each, Generation) else Generation(each, tuple(each.encode())) for each in said]


def play(player: Player, max_steps: int = 8, task: Task | None = None, fits: Fits = always_fits) -> list[Episode]:
    asked = [Episode(place, NUMBER, (ASKED,)) for place in player.left]
    task = task or bisection_task(1)
    with Judge(task, max_abstain=1, settings=HERE) as judge:
        return play_answers(task, judge, "attempt", asked, player, "try", max_steps, fits=fits)


def texts(episode: Episode) -> list[str]:
    return [each.messages[0]["content"] if each.is_read else each.text for each in episode.segments]


def test_each_action_follows_what_the_one_before_led_to() -> None:
    player = Player(["guess 3", "guess 6", "answer 5"])
    (course,) = play(player)
    assert texts(course) == ["Find it.", "guess 3", "higher", "guess 6", "lower", "answer 5"]
    assert [each.role for each in course.segments] == ["prompt", *["attempt", "observation"] * 2, "attempt"]
    assert [message["role"] for message in player.seen[2]] == ["user", "assistant", "user", "assistant", "user"]
    assert [message["content"] for message in player.seen[2]] == texts(course)[:5]


def test_the_last_action_alone_has_a_verdict_and_what_was_judged() -> None:
    (course,) = play(Player(["guess 3", "guess 6", "answer 5"]))
    assert [each.judged for each in course.attempts] == [None, None, "5 after 3, 6"]
    assert [each.verdict for each in course.attempts] == [None, None, passed()]
    assert (course.attempt.answer, course.verdict, course.acts) == ("5 after 3, 6", passed(), True)
    assert course.answers == [course.attempt]


def test_courses_end_one_by_one_and_the_stages_say_the_step() -> None:
    player = Player(["answer 1"], ["guess 1", "answer 5"], ["guess 1", "guess 2", "answer 5"])
    assert [each.verdict.outcome for each in play(player)] == ["failed", "passed", "passed"]
    assert player.stages == [("try", [0, 1, 2]), ("try, step 2", [1, 2]), ("try, step 3", [2])]


def test_a_course_without_an_answer_within_the_limit_has_failed_unjudged() -> None:
    course, other = play(Player(["guess 1", "guess 2", "guess 3"], ["guess 1", "guess 2", "answer 5"]), max_steps=3)
    assert (course.verdict.category, course.verdict.detail) == ("step limit", "no answer within 3 steps")
    assert (course.attempt.judged, course.segments[-1].role) == ("", "attempt")
    assert other.verdict == passed()


def test_a_single_step_has_to_be_the_answer() -> None:
    early, late = play(Player(["answer 5"], ["guess 5"]), max_steps=1)
    assert (early.verdict, late.verdict.category) == (passed(), "step limit")


def test_an_action_that_the_token_limit_ended_ends_its_course_and_is_never_taken() -> None:
    half = Generation("crash", (1, 2), "length")
    (course,) = play(Player(["guess 1", half]))
    assert (course.verdict.category, course.attempt.judged, course.attempt.is_cut_off) == ("cut off", "", True)
    assert texts(course)[-1] == "crash"


def test_a_thought_that_the_token_limit_ended_does_too() -> None:
    (course,) = play(Player([Generation("", (1,), "length", thought="Let me", is_thinking=True)]))
    assert (course.verdict.category, course.attempt.judged) == ("cut off", "")


def test_the_step_sees_no_thought_and_the_model_its_own() -> None:
    player = Player([Generation("guess 3", thought="Half of it."), "answer 5"])
    (course,) = play(player)
    assert course.attempts[0].thought == "Half of it."
    assert player.seen[1][1] == {"role": "assistant", "content": "guess 3", "thought": "Half of it."}


def test_an_action_that_is_missing_is_nobodys_failure() -> None:
    (course,) = play(Player(["guess 1", Generation("", missing="content filter")]))
    assert (course.verdict.is_unanswered, course.attempt.judged) == (True, "")


def test_a_fault_of_the_step_withholds_the_verdict_and_a_fault_of_the_verifier_as_well() -> None:
    step, verifier = play(Player(["guess 1", "crash"], ["guess 1", "answer crash"]))
    assert (step.verdict.category, step.attempt.judged) == ("exception", "")
    assert "rrr-bisection 1.0, hook rrr_step: ZeroDivisionError" in step.verdict.detail
    assert (verifier.verdict.category, verifier.attempt.judged) == ("exception", "crash after 1")
    assert "hook rrr_verify" in verifier.verdict.detail


def test_an_action_that_the_task_does_not_know_is_the_tasks_to_answer() -> None:
    (course,) = play(Player(["<tool>", "guess ٣", "answer 5"]))
    assert texts(course)[2::2] == [HELP, HELP]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_course_that_comes_to_a_blank_answer_has_failed_unjudged_and_the_plugin_is_not_to_blame(text: str) -> None:
    @hookimpl
    @trusted
    def rrr_step(action: str) -> Step:
        return final(action)

    @hookimpl
    def rrr_load_dataset(split: str) -> list[Row]:
        return []

    @hookimpl
    @trusted
    def rrr_verify(answer: str) -> Verdict:
        raise AssertionError("nobody asks")

    @hookimpl
    def rrr_prompt(row: Row) -> str:
        return "Say something."

    (episode,) = play(Player([text]), task=task_of("echo", rrr_load_dataset, rrr_prompt, rrr_step, rrr_verify))
    assert episode.attempt.judged == ""
    assert (episode.verdict.outcome, episode.verdict.category) == ("failed", "empty answer")


def test_a_course_that_fills_the_context_has_failed_and_its_last_observation_was_never_read() -> None:
    player = Player(["guess 1", "guess 2"], ["guess 1", "answer 5"])
    full, other = play(player, fits=lambda each: each.row_index > 0 or len(each.segments) < 4)
    assert (full.verdict, full.attempt.judged, texts(full)) == (FULL, "", ["Find it.", "guess 1", "higher", "guess 2"])
    assert (full.is_full, other.is_full, other.verdict) == (True, False, passed())


def test_a_course_without_any_room_is_not_drawn() -> None:
    player = Player([])
    (course,) = play(player, fits=lambda _: False)
    assert (course.verdict, course.attempt.judged, player.stages) == (FULL, "", [])


def test_without_room_there_is_no_reflection_and_without_a_reflection_no_retry() -> None:
    task, player = bisection_task(1), Player(["I erred.", "answer 5"], [])
    failed = [Episode(place, NUMBER, (ASKED, Segment("attempt", judged="", verdict=FULL))) for place in range(2)]
    with Judge(task, max_abstain=1, settings=HERE) as judge:
        one, full = play_round(
            task, Model("m"), judge, failed, player, max_steps=4, fits=lambda each: each.row_index == 0
        )
    assert one.last_verdict == passed()
    assert (full.segments[-1].role, full.last_verdict, full.second_verdict) == ("reflection", FULL, FULL)
    assert player.stages == [("reflection", [0]), ("retry", [0])]


def test_courses_without_a_verdict_are_those_that_came_to_an_answer() -> None:
    task, player = bisection_task(1), Player(["answer crash"], ["hm"])
    asked = [Episode(place, NUMBER, (ASKED,)) for place in range(2)]
    with Judge(task, max_abstain=1, settings=HERE) as judge:
        answered, ended = play_courses(judge, "attempt", asked, player, "sample", 1)
        assert judge.judged == 1  # the ended one needs no verifier, and the limit on faults is a share of both
    assert (answered.attempt.judged, answered.attempt.verdict) == ("crash after nothing", None)
    assert ended.verdict.category == "step limit"


def test_every_drawn_action_counts_as_a_text_and_every_answer_as_a_verdict() -> None:
    task, player = bisection_task(1), Player(["guess 1", "answer 5"], ["answer 5"], ["crash"])
    asked = [Episode(place, NUMBER, (ASKED,)) for place in range(3)]
    with Judge(task, max_abstain=1, settings=HERE) as judge:
        play_answers(task, judge, "attempt", asked, player, "try", 8)
        assert (judge.unanswered.asked, judge.judged, judge.abstained) == (4, 3, 1)


def echoing_task() -> Task:
    """A task whose every step says what the action said, and a wall of text at `wall`."""

    @hookimpl
    def rrr_load_dataset() -> list[Row]:
        return [NUMBER]

    @hookimpl
    def rrr_prompt() -> str:
        return "Say something."

    @hookimpl
    @trusted
    def rrr_step(action: str) -> Step:
        own = "".join(f"brick {number}, " for number in range(4_000)) if action == "wall" else ""
        return observed(f"You said: {own or action}")

    @hookimpl
    @trusted
    def rrr_verify() -> Verdict:
        return passed()

    return task_of("echoing", rrr_load_dataset, rrr_prompt, rrr_step, rrr_verify)


def test_a_course_whose_long_action_is_repeated_to_it_has_failed_and_a_wall_of_text_is_a_fault() -> None:
    long = "so " * 20_000
    failing, faulty = play(Player(["hm", long], ["wall"]), task=echoing_task())
    assert (failing.verdict.outcome, failing.verdict.category) == ("failed", "too long")
    assert (failing.attempt.text, failing.attempt.judged) == (long, "")
    assert (faulty.verdict.outcome, faulty.verdict.category) == ("abstained", "bad step")


def test_a_task_without_steps_is_answered_by_one_text() -> None:
    player = Player(["right"], ["wrong"])
    right, wrong = play(player, task=numbers_task(2))
    assert right.segments == (ASKED, Segment("attempt", text="right", length=5, verdict=passed()))
    assert (wrong.verdict.category, wrong.acts) == ("wrong number", False)
    assert player.stages == [("try", [0, 1])]


def test_nothing_is_asked_for_nobody() -> None:
    player = Player()
    for task in (numbers_task(1), bisection_task(1)):
        assert play(player, task=task) == []
    assert player.stages == []


def test_what_was_judged_survives_its_json_and_is_left_out_of_texts() -> None:
    (course,) = play(Player(["guess 3", "answer 5"]))
    record = json.loads(json.dumps(course.to_json()))
    assert [each.get("judged") for each in record["segments"]] == [None, None, None, "5 after 3"]
    assert "judged" not in record["segments"][1]
    assert Episode.from_json(record, "here") == course


def test_a_step_limit_is_refused_where_it_would_do_nothing() -> None:
    check_max_steps([numbers_task(1)], 8)
    check_max_steps([bisection_task(1)], 3)
    with pytest.raises(RrrError, match="'numbers' does not act in steps, so --max-steps would do nothing: leave it"):
        check_max_steps([numbers_task(1)], 3)
