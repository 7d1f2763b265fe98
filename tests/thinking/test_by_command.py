"""A model that thinks goes through mine, train, eval, report and rejudge: its thoughts stay apart from its answers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from rrr_core.cli import run_command
from tests.thinking.conftest import (
    SMALL,
    Watched,
    evaluated,
    lines,
    messages_of,
    mined_attempts,
    rrr,
    watching,
)
from tests.thinking.scripted import tokenizer

MINE = ("--rows", "48", "--tries", "3", "--temperature", "1", "--max-tokens", "48")
EVAL = ("--rows", "48", "--modes", "greedy", "--max-tokens", "48")


def template_ids(segments: list[dict[str, Any]], **arguments: Any) -> tuple[int, ...]:
    """The template's own rendering of what comes before a written segment."""
    made = tokenizer().apply_chat_template(
        messages_of(segments), add_generation_prompt=True, return_dict=False, **arguments
    )
    return tuple(made)


@pytest.fixture(scope="module")
def run(site: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Watched]:
    """A folder with all stages of a run, and what they asked."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    with watching() as watched:
        rrr("mine", folder, *MINE)
        rrr("train", folder, *SMALL)
        rrr("eval", folder, *EVAL)
    return folder, watched


def segments_of(folder: Path) -> list[dict[str, Any]]:
    """All written segments in the records of all stages."""
    episodes = [*lines(folder / "train" / "episodes.jsonl"), *evaluated(folder)]
    written = [each for episode in episodes for each in episode["segments"] if each["role"] != "prompt"]
    return written + mined_attempts(folder)


def test_the_model_is_right_wrong_and_right_at_its_second_try(run: tuple[Path, Watched]) -> None:
    figures = json.loads((run[0] / "eval" / "model" / "figures.json").read_text())["modes"]["greedy"]
    first, second = figures["first_try"]["value"], figures["second_try"]["value"]
    assert 0.1 < first < 0.9
    assert first + 0.05 < second < 1
    rewards = Counter(episode["reward"] for episode in lines(run[0] / "train" / "episodes.jsonl"))
    assert min(rewards[0.0], rewards[1.0]) > 5


def test_records_hold_thoughts_apart_from_answers(run: tuple[Path, Watched]) -> None:
    written = segments_of(run[0])
    assert sum(bool(each.get("thought")) for each in written) > 0.9 * len(written)
    assert any("<answer>" in each.get("thought", "") for each in written)
    assert all(each.get("thought", "").strip() == each.get("thought", "") for each in written)


def test_the_verifier_is_shown_answers_alone(run: tuple[Path, Watched]) -> None:
    folder, watched = run
    close = tokenizer().convert_tokens_to_ids("</think>")
    closed = [ids for made in watched.written.values() for ids in made if close in ids]
    answers = {tokenizer().decode(ids[ids.index(close) + 1 :], skip_special_tokens=True).lstrip() for ids in closed}
    assert watched.judged
    assert {*watched.judged} <= answers
    kept = {each["text"] for each in segments_of(folder) if each["role"] in ("attempt", "retry")}
    assert kept <= {*watched.judged, ""}


@pytest.mark.parametrize("stage", ["train", "eval"])
def test_a_retrys_context_is_the_templates_own_and_holds_no_earlier_thought(
    run: tuple[Path, Watched], stage: str
) -> None:
    folder, watched = run
    episodes = evaluated(folder) if stage == "eval" else lines(folder / "train" / "episodes.jsonl")
    retried = [episode["segments"] for episode in episodes if len(episode["segments"]) == 6]
    assert len(retried) > 10
    for segments in retried:
        for place in (3, 5):
            prompt = template_ids(segments[:place])
            assert prompt in watched.written
            assert tokenizer().decode(prompt).count("<think>") == 1
        assert segments[3]["thought"] not in tokenizer().decode(template_ids(segments[:5]))


def test_a_thought_without_an_end_is_cut_off_and_no_verifier_is_asked(site: Path, tmp_path: Path) -> None:
    with watching() as watched:
        rrr("mine", tmp_path, "--rows", "40", "--tries", "1", "--max-tokens", "10")
    attempts = mined_attempts(tmp_path)
    cut = [each for each in attempts if each["verdict"]["category"] == "cut off"]
    assert len(cut) > 5
    assert any("<answer>" in each["thought"] for each in cut)
    for each in cut:
        assert (each["text"], each["is_cut_off"]) == ("", True)
    rows = lines(*sorted((tmp_path / "mine").glob("shard-*.jsonl")))
    assert len(watched.judged) == sum(row["tries"] for row in rows) - len(cut)


def test_kept_answers_are_judged_again_without_a_flip(
    run: tuple[Path, Watched], capsys: pytest.CaptureFixture[str]
) -> None:
    with watching() as watched:
        assert run_command(["rejudge", str(run[0])]) == 0
    assert {*watched.judged} <= {*run[1].judged}
    assert "no verdict changed" in capsys.readouterr().out


def test_a_report_is_written(run: tuple[Path, Watched], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run_command(["report", str(run[0]), "--out", str(page)]) == 0
    assert page.stat().st_size > 10_000


def test_without_thinking_the_prompt_closes_the_thought_and_no_thought_is_written(site: Path, tmp_path: Path) -> None:
    with watching() as watched:
        rrr("mine", tmp_path, *MINE, "--template", "enable_thinking=false")
    assert all(tokenizer().decode(prompt).endswith("<think>\n\n</think>\n\n") for prompt in watched.written)
    attempts = mined_attempts(tmp_path)
    assert attempts
    assert not any("thought" in each for each in attempts)
    identity = json.loads((tmp_path / "mine" / "manifest.json").read_text())["identity"]
    assert identity["model"]["template"] == {"enable_thinking": False}


def test_texts_without_an_answer_are_not_judged_again(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rrr("mine", tmp_path, "--rows", "40", "--tries", "1", "--max-tokens", "10")
    rrr("train", tmp_path, *SMALL, "--steps", "1", "--max-retry-tokens", "10")
    rrr("eval", tmp_path, *EVAL, "--max-tokens", "10")
    episodes = [*lines(tmp_path / "train" / "episodes.jsonl"), *evaluated(tmp_path)]
    last = Counter(episode["segments"][-1]["verdict"]["category"] for episode in episodes)
    assert last["cut off"] > 10
    with watching() as watched:
        assert run_command(["rejudge", str(tmp_path)]) == 0
    assert "no verdict changed" in capsys.readouterr().out
    assert "" not in watched.judged


@pytest.mark.parametrize("command", ["mine", "train", "eval"])
def test_another_template_argument_makes_another_run(
    run: tuple[Path, Watched], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"mine": MINE, "train": SMALL, "eval": EVAL}[command]
    rrr(command, run[0], *options, "--template", "enable_thinking=false", code=2)
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("rrr: ")
    assert "template" in said


def test_kept_thoughts_are_in_the_context_which_extends_what_was_sampled(site: Path, tmp_path: Path) -> None:
    rrr("mine", tmp_path, *MINE, "--keep-thoughts")
    for command, options in (("train", SMALL), ("eval", (*EVAL, "--controls", "independent"))):
        with watching() as watched:
            rrr(command, tmp_path, *options, "--keep-thoughts")
        retried = extended = 0
        for prompt in watched.written:
            text = tokenizer().decode(prompt)
            request = "<|user|>Wrong. Reflect.<|end|><|assistant|><think>\n"
            if text.count("<|user|>") == 3 and request in text:
                retried += 1
                assert text.count("</think>") >= 2
                before = encoded(text[: text.index(request)] + request)
                again = encoded(text[text.rindex("<|user|>") :])
                extended += prompt in {before + ids + again for ids in watched.written[before]}
        assert retried > 10
        # An evaluation keeps texts, and so may not know how a strange one was spelled.
        assert extended == retried if command == "train" else extended > 0.8 * retried, (extended, retried)


def encoded(text: str) -> tuple[int, ...]:
    return tuple(tokenizer()(text, add_special_tokens=False)["input_ids"])
