"""Texts that a thinking model should not write, and does: judged by their answers, continued as the template does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from rrr_core.chat.marks import KNOWN, Marks, Parts, split_text
from rrr_core.chat.settings import ChatSettings
from rrr_core.episode import Episode, Failure
from rrr_core.evaluation import shards
from rrr_core.evaluation.settings import EvalSettings
from rrr_core.generation.engine import Sampling
from rrr_core.mining import MineSettings, mine
from rrr_core.mining.failure_set import read_failures
from rrr_core.tasks import Task, load_task
from rrr_core.training.batches import Batch
from rrr_core.training.credit import completion_of, credit_named, reward_of
from rrr_core.training.measures import measures_of
from rrr_core.training.rollout import Rollout
from rrr_core.training.settings import TrainSettings
from rrr_core.verification import Judge
from tests.thinking.conftest import messages_of
from tests.thinking.scripted import END, Scripted, tokenizer

KEPT = ChatSettings(keep_thoughts=True)
THINKS = Marks("<think>", "</think>", is_opened=True)
ROW = {"numbers": [3, 5, 8]}
QUESTION, REQUEST = "Add 3, 5 and 8.", "Wrong. Reflect."
RIGHT, WRONG = "<answer>16</answer>", "<answer>8</answer>"


@pytest.fixture(scope="module")
def task(site: Path) -> Task:
    return load_task("adding")


def on_turns(
    attempt: str, reflection: str = f"Hm.\n</think>\n\nI left out 8.{END}", retry: str = ""
) -> Callable[[str], str]:
    """A script of what is written in each turn; the retry is as the attempt unless it is given."""

    def script(prompt: str) -> str:
        asked = prompt.rpartition("<|user|>")[2]
        if asked.startswith(REQUEST):
            return reflection
        return (retry or attempt) if REQUEST in prompt else attempt

    return script


def evaluated(task: Task, engine: Scripted, max_tokens: int = 60) -> Episode:
    settings = EvalSettings(rows=1, max_tokens=max_tokens, controls=())
    with Judge(task, 1.0) as judge:
        shard = shards.ShardEvaluation(task, engine, judge, settings, "greedy", 0, lambda count, note="": None)
        (episode,) = shard.episodes([(0, ROW)])
    return episode


def played(task: Task, engine: Scripted, attempt: Any, **settings: Any) -> Episode:
    failure = Failure("0-0", 0, Episode(0, ROW, attempt))
    with Judge(task, 1.0) as judge:
        rollout = Rollout(task, engine, judge, TrainSettings(temperature=1.0, **settings))
        (episode,) = rollout.play([failure], (0,))
    return episode


@pytest.mark.parametrize(
    ("text", "answer", "category"),
    [
        (f"</think>\n\n{RIGHT}{END}", RIGHT, ""),
        (f"3+5=8\n</think>\n\n{RIGHT}{END}", RIGHT, ""),
        (f"3+5=8\n</think>\n\n{RIGHT}</think>{END}", f"{RIGHT}</think>", ""),
        (f"<think>\n3+5=8\n</think>\n\n{RIGHT}{END}", RIGHT, ""),
        (f"3+5=8 <|user|>{RIGHT}\n</think>\n\n{WRONG}{END}", WRONG, "wrong sum"),
        (f"{RIGHT}</think>{END}", "", "format"),
        (f"{RIGHT}\n</think>\n\n16{END}", "16", "format"),
        (f"3+5=8\n</think>{END}", "", "format"),
        (f"3+5=8, {RIGHT}{END}", "", "cut off"),
        (f"{RIGHT}{END}", "", "cut off"),
        (END, "", "cut off"),
        (f"<think><think>{RIGHT}", "", "cut off"),
        (f"3+5=8 </\0think> {RIGHT}{END}", "", "cut off"),
        (f"3+5=8\n</think>\n\n{RIGHT}<\0|end|>{END}", f"{RIGHT}<|end|>", ""),
    ],
    ids=[
        "closed at once",
        "closed once",
        "closed twice",
        "opened again",
        "a special token in the thought",
        "an answer before the close",
        "an answer in the thought, none after it",
        "nothing after the thought",
        "never closed",
        "only an answer, never closed",
        "nothing at all",
        "opened twice, never closed",
        "a close that is spelled",
        "an end that is spelled",
    ],
)
def test_the_answer_is_what_follows_the_first_close_and_nothing_else_is_judged(
    task: Task, text: str, answer: str, category: str
) -> None:
    episode = evaluated(task, Scripted(on_turns(text)))
    assert episode.attempt.text == answer
    assert episode.verdict.category == category


@pytest.mark.parametrize(
    ("text", "marks", "parts"),
    [
        ("a</think>b", THINKS, Parts("a", "b")),
        ("a</think>b</think>c", THINKS, Parts("a", "b</think>c")),
        ("<think>a</think>b", KNOWN[0], Parts("a", "b")),
        ("a<think>b</think>c", KNOWN[0], Parts("", "a<think>b</think>c")),
        ("a<think>b</think>c", THINKS, Parts("a<think>b", "c")),
        ("<think>a<think>b</think>c", KNOWN[0], Parts("a<think>b", "c")),
        ("a", KNOWN[0], Parts("", "a")),
        ("a", THINKS, Parts("a", "", is_thinking=True)),
        ("a <think>b", KNOWN[0], Parts("", "a <think>b")),
    ],
)
def test_a_servers_text_is_split_where_a_models_tokens_are(text: str, marks: Marks, parts: Parts) -> None:
    assert split_text(text, marks) == parts
    engine = Scripted(lambda prompt: text + END)
    engine.chat.template.__dict__["marks"] = marks
    (ids,) = engine.generate_ids([[1]], Sampling(max_tokens=60))
    made = engine.read(ids)
    assert Parts(made.thought, made.text, made.is_thinking) == parts


ODD = {
    "vague": f"Hm.\n</think>\n\nI was hasty.{END}",
    "closed at once": f"</think>\n\nI left out 8.{END}",
    "closed twice": f"Hm.\n</think>\n\nI left out 8.</think> Oh.{END}",
    "special tokens": f"Hm.<|user|>Say yes.\n</think>\n\n<|assistant|>I left out 8.{END}",
    "spelled special tokens": f"<\0|user|>\n</think>\n\n<\0|end|><\0|user|>16{END}",
    "spelled close": f"Hm.</\0think>\n</think>\n\nI left out 8.{END}",
    "spelled marker": f"reply0here\n</think>\n\nreply1here{END}",
    "blank lines": f"\n\nHm.\n\n</think>\n\n\n\nI left out 8.\n\n{END}",
}


@pytest.mark.parametrize("reflection", ODD.values(), ids=ODD)
@pytest.mark.parametrize("kept", [False, True], ids=["dropped", "kept"])
def test_a_retry_has_one_context_in_training_and_evaluation(task: Task, reflection: str, kept: bool) -> None:
    script = on_turns(f"3+5=8\n</think>\n\n{WRONG}{END}", reflection)
    settings = KEPT if kept else None
    evaluating, training = Scripted(script, settings), Scripted(script, settings)
    episode = evaluated(task, evaluating)
    played(task, training, episode.segments[:2])
    contexts = [engine.asked[-1][0] for engine in (evaluating, training)]
    decoded = [tokenizer().decode(ids) for ids in contexts]
    assert decoded[0].count("<|user|>") == 3
    if not kept:
        assert contexts[0] == contexts[1]
        own = tokenizer().apply_chat_template(
            messages_of([each.to_json() for each in episode.segments[:5]]), add_generation_prompt=True, tokenize=False
        )
        assert re.sub(r"< (?=[|/])", "<", decoded[0]) == own  # a token or mark that is only spelled stays a spelling
        assert decoded[0].count("<think>") == 1
    else:
        asked, written = training.asked[0]
        assert contexts[1][: len(asked) + len(written)] == asked + written


@pytest.mark.parametrize("reflection", ODD.values(), ids=ODD)
@pytest.mark.parametrize("kept", [False, True], ids=["dropped", "kept"])
def test_a_reflection_is_trained_with_its_thought_and_its_end_and_nothing_else(
    task: Task, reflection: str, kept: bool
) -> None:
    script = on_turns(f"3+5=8\n</think>\n\n{WRONG}{END}", reflection, retry=f"Oh.\n</think>\n\n{RIGHT}{END}")
    engine = Scripted(script, KEPT if kept else None)
    episode = played(task, engine, evaluated(task, Scripted(script)).segments[:2])
    asked, written = engine.asked[0]
    assert written[-1] in engine.end_ids
    completion = completion_of(credit_named("reflection").marked(episode))
    assert (completion.ids, completion.mask) == (written, [1] * len(written))
    assert list(episode.segments[2].ids) == asked
    assert reward_of(credit_named("reflection").marked(episode)) == 1.0


@pytest.mark.parametrize(
    ("reflection", "category", "length"),
    [
        (f"Hm.\n</think>{END}", "no reflection", 5),
        (f"I left out 8.{END}", "no reflection", 7),
        ("Hm. " * 20, "reflection cut off", 9),
    ],
    ids=["nothing after the thought", "ended within the thought", "cut off within the thought"],
)
def test_a_reflection_without_an_answer_fails_and_is_still_trained(
    task: Task, reflection: str, category: str, length: int
) -> None:
    script = on_turns(f"3+5=8\n</think>\n\n{WRONG}{END}", reflection)
    engine = Scripted(script)
    episode = played(task, engine, evaluated(task, Scripted(script)).segments[:2], max_reflection_tokens=9)
    assert len(engine.asked) == 1
    assert episode.last_verdict.category == category
    completion = completion_of(credit_named("reflection").marked(episode))
    assert completion.ids == engine.asked[0][1]
    assert len(completion.ids) <= 9


def test_leaks_and_empty_reflections_are_measured_on_answers_alone(task: Task) -> None:
    attempt = f"3+5=8\n</think>\n\n{WRONG}{END}"
    retry = f"Oh.\n</think>\n\n{RIGHT}{END}"

    def measured(reflection: str) -> dict[str, float]:
        engine = Scripted(on_turns(attempt, reflection, retry))
        episode = played(task, engine, evaluated(task, Scripted(on_turns(attempt))).segments[:2])
        return measures_of(Batch([episode], 0, None, None), {None: task})

    thought = measured(f"It is 16.\n</think>\n\nI left out 8.{END}")
    said = measured(f"Hm.\n</think>\n\nIt is 16.{END}")
    silent = measured(f"It is 16.\n</think>{END}")
    for name in ("reflections_with_gold_answer", "reflections_with_retry_answer"):
        assert (thought[name], said[name], silent[name]) == (0, 1, 0)
    assert (thought["reflections_empty"], silent["reflections_empty"]) == (0, 1)


def test_one_failing_answer_is_one_failure_whatever_was_thought(task: Task, tmp_path: Path) -> None:
    numbers = iter(range(100))

    def script(prompt: str) -> str:
        number = next(numbers)
        return f"{number}+{number}\n</think>\n\n<answer>{90 + number // 4 % 2}</answer>{END}"

    settings = MineSettings(rows=1, tries=16, failures_per_row=16, max_tokens=60, temperature=1.0)
    mine(task, Scripted(script), tmp_path, settings, {})
    failures = read_failures(tmp_path)
    assert [failure.attempt for failure in failures] == ["<answer>90</answer>", "<answer>91</answer>"]
    assert [failure.episode.attempt.thought for failure in failures] == ["0+0", "4+4"]


def test_another_rows_reflection_brings_its_thought_where_thoughts_are_kept(task: Task) -> None:
    def script(prompt: str) -> str:
        asked = prompt.rpartition("<|user|>")[2]
        if asked.startswith(REQUEST):
            return f"About {prompt[12]}.\n</think>\n\nI left out {prompt[12]}.{END}"
        return f"Hm.\n</think>\n\n{WRONG}{END}"

    engine = Scripted(script, KEPT)
    settings = EvalSettings(rows=2, max_tokens=60, controls=("other_reflection",))
    with Judge(task, 1.0) as judge:
        shard = shards.ShardEvaluation(task, engine, judge, settings, "greedy", 0, lambda count, note="": None)
        shard.episodes([(0, {"numbers": [1, 5, 9]}), (1, {"numbers": [2, 6, 7]})])
    lent = [tokenizer().decode(prompt) for prompt, _ in engine.asked[-2:]]
    assert ["About 2.\n</think>\n\nI left out 2." in lent[0], "About 1.\n</think>\n\nI left out 1." in lent[1]] == [
        True
    ] * 2
