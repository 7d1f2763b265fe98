"""The table of thoughts and reflections counts rows, tokens and pairs as it says, and runs as one command."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="needs rrr-core[train]")
pytestmark = pytest.mark.train

from rrr_core.episode import Episode, Segment
from rrr_core.errors import RrrError
from rrr_core.verdicts import Verdict, abstained, failed, passed

ASK = Segment("prompt", ({"role": "user", "content": "?"},))


def episode(first: Verdict, own: Verdict | None = None, none: Verdict | None = None) -> Episode:
    attempt = Segment("attempt", text="a b", thought="one two three", length=9, verdict=first)
    made = Episode(0, {}, (ASK, attempt), controls={} if none is None else {"no_reflection": ("a", none)})
    if own is None:
        return made
    reflection = Segment("reflection", text="r", thought="t", length=5)
    return made.extended(ASK, reflection, ASK, Segment("retry", text="b", length=2, verdict=own))


def words(text: str) -> int:
    return len(text.split())


def test_a_row_that_was_right_at_first_is_right_at_every_try():
    from thought_and_reflection import NONE, OWN, TRIES, outcomes

    found = outcomes(episode(passed()), words)
    assert [found[name].right for name in (*TRIES[:1], NONE, OWN)] == [True] * 3
    assert (found[TRIES[0]].thought, found[TRIES[0]].answer, found[OWN].answer) == (3, 2, None)


def test_a_failed_row_has_its_two_retries_and_their_tokens():
    from thought_and_reflection import NONE, OWN, outcomes

    found = outcomes(episode(failed("x"), passed(), failed("x")), words)
    assert (found[NONE].right, found[NONE].thought, found[NONE].answer) == (False, None, 1)
    assert (found[OWN].right, found[OWN].thought, found[OWN].answer, found[OWN].reflection) == (True, 0, 1, 2)


def test_without_a_tokenizer_a_texts_tokens_are_split_by_characters():
    from thought_and_reflection import parts

    assert parts(Segment("attempt", text="abc", thought="abcdefghi", length=8), None) == (6.0, 2.0)
    assert parts(Segment("attempt", text="abc"), None) == (None, None)


def test_differences_are_paired_over_the_rows_judged_on_both_sides():
    from thought_and_reflection import NONE, OWN, interaction, outcomes, paired

    on = {
        0: outcomes(episode(failed("x"), passed(), failed("x")), words),
        1: outcomes(episode(passed()), words),
        2: outcomes(episode(failed("x"), abstained("timeout", ""), failed("x")), words),
    }
    off = {row: outcomes(episode(failed("x"), failed("x"), failed("x")), words) for row in range(3)}
    own = paired((on, NONE), (on, OWN))
    assert (own["value"], own["only_second"], own["total"]) == (0.5, 1, 2)
    assert paired((off, OWN), (on, OWN))["value"] == 1.0
    assert (interaction(on, off)["value"], interaction(on, off)["total"]) == (0.5, 2)
    assert paired((on, OWN), ({}, OWN)) is None


def test_a_templates_own_switch_is_used(tmp_path):
    from thought_and_reflection import thought_options

    from tests.thinking.make_model import MODEL

    chosen = thought_options(Namespace(on=None, off=None), str(MODEL))
    assert chosen == {"on": ["--template", "enable_thinking=true"], "off": ["--template", "enable_thinking=false"]}


def test_a_model_that_does_not_think_is_asked_to_by_the_overlay():
    from thought_and_reflection import thought_options

    from rrr_core.tasks import load_task

    chosen = thought_options(Namespace(on=None, off=None), load_task("countdown").default_model())
    assert chosen == {"on": ["--with", "think", "--thought-marks", "<think> </think>"], "off": []}


def test_what_the_user_says_of_on_and_off_is_believed():
    from thought_and_reflection import thought_options

    chosen = thought_options(Namespace(on="--template effort=high", off=None), None)
    assert chosen == {"on": ["--template", "effort=high"], "off": []}


def test_a_model_without_files_here_needs_on_and_off(tmp_path):
    from thought_and_reflection import thought_options

    with pytest.raises(RrrError, match="Say with --on and --off"):
        thought_options(Namespace(on=None, off=None), str(tmp_path / "nothing"))


def test_one_command_makes_the_table(tmp_path, capsys, monkeypatch):
    from thought_and_reflection import main

    monkeypatch.setattr(sys, "path", list(sys.path))
    small = "--steps 1 --batch-size 16 --micro-batch-size 16"
    eval_options = "--rows 16 --modes greedy"
    main([str(tmp_path / "runs"), "--eval", eval_options, "--mine", "--rows 24", "--train", small])
    sys.modules.pop("rrr_adding", None)
    tables = json.loads((tmp_path / "runs" / "table.json").read_text())
    cells = {(line["model"], line["thought"], line["try"]): line for line in tables["cells"]}
    assert len(cells) == 2 * 2 * 3
    assert cells["untrained", "on", "first try"]["thought_tokens"] > 0
    assert cells["untrained", "off", "first try"]["thought_tokens"] == 0
    assert cells["trained", "on", "first try"]["right"]["total"] == 16
    assert len(tables["differences"]) == 2 * 6
    assert "| greedy | untrained | on | retry after its own reflection |" in capsys.readouterr().out
    assert (Path(tmp_path) / "runs" / "thought-on" / "train" / "model").is_dir()
