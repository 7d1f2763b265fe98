"""The worked conversations, and the embedded model that learned from them."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest
import rrr_countdown
from rrr_countdown import equations, prompts, warmup
from rrr_countdown.generated import Recipe, generate
from rrr_countdown.rows import load

NUMBERS = re.compile(r"Numbers: ([\d ]+)\. Target: (\d+)\.")
MINED_AND_EVALUATED = 5000


def rows_of(count: int) -> list[tuple[list[int], int]]:
    """The rows that `count` conversations use."""
    found = []
    for messages in warmup.conversations(count, prompts.tiny_turns, Recipe(), 0):
        match = NUMBERS.fullmatch(messages[0]["content"])
        assert match
        found.append(([int(n) for n in match[1].split()], int(match[2])))
    return found


def test_rows_of_warm_up_mining_and_evaluation_are_disjoint_by_content() -> None:
    warm = {(*sorted(nums), target) for nums, target in rows_of(20_000)}
    mined, evaluated = (
        {(*sorted(row["nums"]), row["target"]) for row in itertools.islice(load(split, {}), MINED_AND_EVALUATED)}
        for split in ("train", "test")
    )
    assert len(mined) == len(evaluated) == MINED_AND_EVALUATED
    assert len(warm) > 5000
    assert not warm & mined
    assert not warm & evaluated
    assert not mined & evaluated


def test_conversations_depend_on_the_seed_alone() -> None:
    def some(seed: int) -> list[list[dict[str, str]]]:
        return list(warmup.conversations(50, prompts.tiny_turns, Recipe(), seed))

    assert some(0) == some(0) != some(1)


def test_a_conversation_ends_if_the_answer_is_right_and_continues_if_it_is_wrong() -> None:
    for messages in warmup.conversations(500, prompts.tiny_turns, Recipe(), 0):
        match = NUMBERS.fullmatch(messages[0]["content"])
        assert match
        row = {"nums": [int(n) for n in match[1].split()], "target": int(match[2])}
        verdict = equations.verify(row, messages[1]["content"])
        assert verdict.is_passed == (len(messages) == 2)
        assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2)


def test_the_retry_is_right_after_a_worked_reflection_and_rarely_after_another() -> None:
    right: dict[bool, Counter[bool]] = {True: Counter(), False: Counter()}
    for messages in warmup.conversations(4000, prompts.tiny_turns, Recipe(), 0):
        if len(messages) == 6:
            match = NUMBERS.fullmatch(messages[0]["content"])
            assert match
            row = {"nums": [int(n) for n in match[1].split()], "target": int(match[2])}
            is_worked = "half is" in messages[3]["content"]
            right[is_worked][equations.verify(row, messages[5]["content"]).is_passed] += 1
    assert right[True][False] == 0
    assert right[True][True] > 1000
    assert right[False][True] < 0.25 * sum(right[False].values())


def test_a_worked_reflection_says_true_sums_and_does_not_hold_the_answer() -> None:
    for row in itertools.islice(generate("warmup", Recipe()), 300):
        nums, target = row["nums"], row["target"]
        text = warmup.worked(nums, target)
        for left, right in re.findall(r"([\d+-]+)=(-?\d+)", text):
            assert sum(int(term) for term in re.findall(r"[+-]?\d+", left)) == int(right)
        assert warmup.expression(nums, warmup.solve(nums, target)) not in text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("<answer>3+4-5</answer>", ""),
        ("<answer>3+5-4</answer>", "I got 4, not 2."),
        ("<answer>3+3-4</answer>", "I used 3 twice."),
        ("<answer>5-3</answer>", "I left out 4."),
    ],
)
def test_slips_are_named_correctly(answer: str, said: str) -> None:
    assert warmup.slip_in([3, 4, 5], 2, answer) == said


def test_slips_have_the_documented_shares() -> None:
    rng = random.Random(0)
    names = Counter(warmup.choose(warmup.HASTY, rng) for _ in range(20_000))
    for kind, share in warmup.HASTY.items():
        assert abs(names[kind] / 20_000 - share) < 0.02
    for shares in (warmup.HASTY, warmup.HASTY_RETRY, warmup.REFLECTIONS, warmup.EARLY_REFLECTIONS, warmup.VAGUE):
        assert sum(shares.values()) == pytest.approx(1)


class TestTheEmbeddedModel:
    folder = rrr_countdown.EMBEDDED_MODEL

    def test_it_is_the_default_model(self) -> None:
        assert rrr_countdown.rrr_default_model() == str(self.folder)

    def test_it_is_a_stock_architecture_in_safetensors_of_at_most_8_mb_with_a_fast_tokenizer(self) -> None:
        files = {path.name: path.stat().st_size for path in Path(self.folder).iterdir()}
        assert files["model.safetensors"] <= 8_000_000
        assert {"tokenizer.json", "chat_template.jinja"} <= files.keys()
        assert not any(name.endswith((".py", ".bin", ".pt", ".pkl")) for name in files)
        config = json.loads((Path(self.folder) / "config.json").read_text())
        assert config["architectures"] == ["LlamaForCausalLM"]
        assert "auto_map" not in config

    def test_it_has_at_most_4_million_parameters(self) -> None:
        with (Path(self.folder) / "model.safetensors").open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        sizes = []
        for name, tensor in header.items():
            if name != "__metadata__":
                count = 1
                for length in tensor["shape"]:
                    count *= length
                sizes.append(count)
        assert 500_000 < sum(sizes) <= 4_000_000


def test_a_written_reflection_works_the_row_out_and_there_is_none_where_it_cannot():
    attempt = "<answer>44+19+35</answer>"
    said = rrr_countdown.rrr_worked_reflection(row={"nums": [44, 19, 35], "target": 60}, attempt=attempt)
    assert said == "I got 98, not 60. 44+19=63, 63+35=98, 98-60=38, half is 19."
    for row in ({"nums": [2, 3], "target": 6}, {"nums": [1, 2], "target": 2}, {"nums": [5, 5], "target": 20}):
        assert rrr_countdown.rrr_worked_reflection(row=row, attempt="x") is None
    endless = rrr_countdown.rrr_worked_reflection(row={"nums": [44, 19, 35], "target": 60}, attempt="9" * 9999)
    assert endless == "44+19=63, 63+35=98, 98-60=38, half is 19."
