"""The benchmark of lengths trains the arms it names, and its table says how lengths and gains moved."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("trl", reason="needs rrr-core[train]")
pytestmark = pytest.mark.train


def options(folder, *more: str):
    from length import parser

    return parser().parse_args([str(folder), "--seeds", "0", *more])


def test_the_arms_are_bonuses_and_budgets(tmp_path):
    from length import arms

    assert arms(options(tmp_path)) == {
        "bonus-0.5": {"length_bonus": -0.5},
        "bonus+0": {"length_bonus": 0.0},
        "bonus+0.5": {"length_bonus": 0.5},
        "budget-24": {"max_reflection_tokens": 24},
        "budget-40": {"max_reflection_tokens": 40},
    }


def test_the_table_holds_lengths_against_the_untrained_models(tmp_path):
    from length import table

    for label, mean, second in (("vanilla", 17.0, 0.4), ("bonus-0.5", 15.5, 0.5)):
        folder = tmp_path / "seed-0" / "eval" / label
        folder.mkdir(parents=True)
        figures = {
            "first_try": {"value": 0.25},
            "second_try": {"value": second, "total": 200},
            "reflection_tokens": {"mean": mean, "p10": 13, "p90": 33},
        }
        (folder / "figures.json").write_text(json.dumps({"modes": {"greedy": figures, "sampled": figures}}))
    vanilla, concise, *_ = table(options(tmp_path, "--bonuses", "-0.5", "--budgets"))
    assert (vanilla["arm"], vanilla["longer"]["value"], vanilla["gain"]["value"]) == ("vanilla", 0, 0)
    assert (concise["arm"], concise["rows"], concise["longer"]["value"]) == ("bonus-0.5", 200, -1.5)
    assert concise["gain"]["value"] == pytest.approx(10)
    assert concise["reflection_p90"]["value"] == 33


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I made a mistake. I will be more careful next time.", "vague"),
        ("I got -20, not 38. I must do better.", "named"),
        ("I left out 10. 34+16=50, 50-38=12, half is 6.", "worked"),
        ("My answer was wrong. Next time I will think more before I answer.", "vague"),
        ("I made 3 calls, not 2. I must do better.", "named"),
        ("My city was wrong. I must do better.", "named"),
        ("I left out city. 3 weeks are 3*7=21 days.", "worked"),
        ("I added days. It asks to get wind: city is Rome.", "worked"),
        ("I gave bee 4 legs. I must do better.", "named"),
        ("I gave bee 4 legs. ducks 12*2=24, bee 1*6=6.", "worked"),
        ("I subtracted 7. 4-2=2, then +7.", "worked"),
    ],
)
def test_the_kinds_of_taught_reflections_are_known_by_their_words(text, kind):
    from reflection_kinds import kind_of

    assert kind_of(text) == kind


def test_a_kinds_share_and_length_are_read_from_a_run(tmp_path, capsys):
    from reflection_kinds import main

    from rrr_core.episode import Segment
    from rrr_core.verdicts import failed, passed
    from tests.episodes import make_failure

    vague, worked = "I was hasty.", "I got 1, not 2. 1+2=3, half is 1."
    for label, texts in (("vanilla", [vague, vague, worked, vague]), ("trained", [worked] * 4)):
        folder = tmp_path / "eval" / label
        folder.mkdir(parents=True)
        for mode in ("greedy", "sampled"):
            lines = []
            for number, text in enumerate(texts):
                ask = Segment("prompt", ({"role": "user", "content": "?"},))
                retry = Segment("retry", text="x", verdict=passed() if text == worked else failed("x"))
                reflection = Segment("reflection", text=text, length=len(text.split()))
                episode = make_failure(number, "x", failed("x")).episode.extended(ask, reflection, ask, retry)
                lines.append(json.dumps(episode.to_json()) + "\n")
            (folder / f"{mode}-00000.jsonl").write_text("".join(lines))
    main(tmp_path)
    printed = capsys.readouterr().out
    assert "| greedy | vanilla | vague | 75.0% | 3.0 | 0.0% |" in printed
    assert "| sampled | trained | worked | 100.0% | 9.0 | 100.0% |" in printed
    for file in tmp_path.glob("eval/*/greedy-*"):
        file.unlink()
    main(tmp_path)
    printed = capsys.readouterr().out
    assert "greedy" not in printed
    assert "| sampled | trained | worked | 100.0% | 9.0 | 100.0% |" in printed
