"""The worked conversations for a tiny model, and the few words in which it is asked."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from functools import cache
from itertools import islice

import pytest
import rrr_reasoning_gym
from rrr_reasoning_gym import answers, lessons, metadata, prompts, rows, scoring, upstream
from rrr_reasoning_gym.lessons import chain_sum, leg_counting, making

from rrr_core import Model
from rrr_core.errors import RrrError
from rrr_core.tasks import load_task

TINY = Model("any", prompts.TINY)
DATASETS = list(lessons.TAUGHT)


@cache
def some_rows(dataset, count=40, split="train"):
    return list(islice(rows.load(dataset, split, lessons.TAUGHT[dataset].OPTIONS), count))


def some(dataset, stage, count=400):
    """Rows with the conversations on them."""
    rng = random.Random(0)
    given = some_rows(dataset)
    made = []
    for _ in range(count):
        row, stray = rng.sample(given, 2)
        puzzles = [making.puzzle_of(dataset, each) for each in (row, stray)]
        made.append((row, [turn["content"] for turn in making.conversation(*puzzles, stage, rng)]))
    return made


@pytest.mark.parametrize("dataset", DATASETS)
class TestLessons:
    def test_they_depend_on_the_seed_alone(self, dataset):
        def given(seed):
            return list(lessons.conversations(dataset, 20, seed))

        assert given(0) == given(0) != given(1)

    def test_they_are_on_rows_of_train(self, dataset):
        """No row of the test split has its question in a lesson."""
        tested = {making.prompt(dataset, row) for row in some_rows(dataset, 1000, "test")}
        assert len(tested) > 900
        assert not tested & {turns[0]["content"] for turns in lessons.conversations(dataset, 1000, 0)}

    def test_a_conversation_ends_after_a_right_answer_and_goes_on_after_a_wrong_one(self, dataset):
        for row, texts in some(dataset, making.LATE):
            right = scoring.verify(dataset, row, texts[1]).is_passed
            assert (len(texts) == 2) is right, texts

    def test_every_retry_after_a_worked_reflection_on_the_row_itself_is_right_and_few_others_are(self, dataset):
        right = {True: Counter(), False: Counter()}
        for row, texts in some(dataset, making.EARLY, 800):
            if len(texts) > 2:
                puzzle = making.puzzle_of(dataset, row)
                is_worked = puzzle.worked(puzzle.parts()) in texts[-3]
                right[is_worked][scoring.verify(dataset, row, texts[-1]).is_passed] += 1
        assert right[True][False] == 0 < right[True][True]
        assert right[False][True] < 0.2 * right[False].total()

    def test_the_first_tries_leave_much_to_learn(self, dataset):
        shares = Counter(len(texts) == 2 for _, texts in some(dataset, making.LATE))
        assert 0.2 < shares[True] / shares.total() < 0.5

    def test_a_slip_is_named_after_the_failed_answer_alone(self, dataset):
        """A reflection can find what is wrong in the answer that the model reads."""
        rng = random.Random(1)
        for row in some_rows(dataset):
            puzzle = making.puzzle_of(dataset, row)
            for is_retry in (False, True):
                text = puzzle.attempt(is_retry, rng)
                slip = puzzle.slip_in(text)
                assert bool(slip) is scoring.verify(dataset, row, text).is_failed, (puzzle.shown, text)

    def test_a_worked_reflection_holds_no_answer(self, dataset):
        for row in some_rows(dataset):
            puzzle = making.puzzle_of(dataset, row)
            text = puzzle.worked(puzzle.parts())
            assert scoring.verify(dataset, row, text).is_failed
            results = re.findall(r"=(-?\d+)", text)
            assert results
            assert row["answer"] not in set(results) - set(map(str, puzzle.parts()))
            assert len(results) < len(puzzle.parts()) + 1, "no result is left for the total"

    def test_reflections_are_mostly_vague_in_the_last_part_and_worked_in_the_first(self, dataset):
        kinds = {}
        for name, stage in (("late", making.LATE), ("early", making.EARLY)):
            written = [texts[-3] for _, texts in some(dataset, stage) if len(texts) == 6]
            kinds[name] = Counter(
                "vague" if text in making.VAGUE else "worked" if "=" in text else "named" for text in written
            )
        assert 0.5 < kinds["late"]["vague"] / kinds["late"].total() < 0.7
        assert 0.1 < kinds["late"]["worked"] / kinds["late"].total() < 0.3
        assert kinds["early"]["worked"] > 0.7 * kinds["early"].total()

    def test_the_tiny_model_is_asked_in_the_words_of_its_lessons_and_others_in_upstreams(self, dataset):
        task = load_task(upstream.PREFIX + dataset)
        row = some_rows(dataset, 1)[0]
        shown = making.puzzle_of(dataset, row).shown
        other = Model("any")
        assert task.prompt(row, TINY)[-1]["content"] == shown
        assert task.reflection_prompt(row, "", TINY) == lessons.REFLECTION_PROMPT
        assert task.retry_prompt(row, TINY) == f"Again: {shown}"
        assert task.prompt(row, other)[-1]["content"] == answers.prompt(row["question"])
        assert task.retry_prompt(row, other) == answers.prompt(row["question"])
        assert task.reflection_prompt(row, "", other) != lessons.REFLECTION_PROMPT

    def test_nothing_of_the_puzzle_is_lost_in_few_words(self, dataset):
        for row in some_rows(dataset):
            numbers = re.findall(r"\d+", row["question"])
            assert re.findall(r"\d+", making.prompt(dataset, row)) == numbers


def test_a_minus_that_was_read_as_a_plus_is_named():
    puzzle = chain_sum.Puzzle((12, -7, 30))
    assert puzzle.slip_in("12+7=19, 19+30=<answer>49</answer>") == "I added 7."
    assert puzzle.slip_in("12-7=5, 5-30=<answer>-25</answer>") == "I subtracted 30."
    assert puzzle.slip_in("12-7=<answer>5</answer>") == "I left out 30."
    assert puzzle.slip_in("12-7=6, 6+30=<answer>36</answer>") == "I got 6 for 12-7."
    assert puzzle.slip_in("12-7=5, 5+30=<answer>36</answer>") == "I got 36 for 5+30."
    assert puzzle.slip_in("12-7=5, 5+30=<answer>35</answer>") == ""


def test_animals_with_a_wrong_number_of_legs_are_named():
    puzzle = leg_counting.Puzzle((leg_counting.Animals(12, "ducks", 2), leg_counting.Animals(3, "bees", 6)))
    assert puzzle.slip_in("12*2=24, 3*4=12. 24+12=<answer>36</answer>") == "I gave bees 4 legs."
    assert puzzle.slip_in("12*2=24. <answer>24</answer>") == "I left out bees."
    assert puzzle.slip_in("12*2=26, 3*6=18. 26+18=<answer>44</answer>") == "I got 26 for 12*2."
    assert puzzle.slip_in("12*2=24, 3*6=18. 24+18=<answer>41</answer>") == "My total was wrong."
    assert puzzle.slip_in("12*2=24, 3*6=18. 24+18=<answer>42</answer>") == ""


def test_an_animal_without_legs_may_be_left_out():
    puzzle = leg_counting.Puzzle((leg_counting.Animals(12, "ducks", 2), leg_counting.Animals(3, "snakes", 0)))
    assert puzzle.slip_in("12*2=24. <answer>24</answer>") == ""


def test_longer_puzzles_have_few_words_too():
    """Rows of other options than the lessons' are asked in the same way."""
    row = next(rows.load("chain_sum", "test", {"min_terms": "5"}))
    assert making.prompt("chain_sum", row).count("+") + making.prompt("chain_sum", row).count("-") >= 4
    assert metadata.decode(row["metadata"])["expression"].replace(" ", "") in making.prompt("chain_sum", row)


def test_the_shares_add_up():
    for shares in (
        *(table for module in lessons.TAUGHT.values() for table in (module.HASTY, module.HASTY_RETRY)),
        *(each for stage in (making.EARLY, making.LATE) for each in (stage.reflections, stage.numbers)),
        making.VAGUE,
    ):
        assert sum(shares.values()) == pytest.approx(1)


class TestTheEmbeddedModel:
    folder = rrr_reasoning_gym.EMBEDDED_MODEL

    def test_it_is_the_default_model_of_the_data_sets_with_lessons_and_of_no_other(self):
        for dataset in upstream.datasets():
            given = rrr_reasoning_gym.rrr_default_model(upstream.PREFIX + dataset)
            assert given == (str(self.folder) if dataset in DATASETS else None)

    def test_it_is_a_stock_architecture_of_at_most_3_mb_with_a_fast_tokenizer(self):
        files = {path.name: path.stat().st_size for path in self.folder.iterdir()}
        assert files["model.safetensors"] <= 3_000_000
        assert {"tokenizer.json", "chat_template.jinja"} <= files.keys()
        assert not any(name.endswith((".py", ".bin", ".pt", ".pkl")) for name in files)
        config = json.loads((self.folder / "config.json").read_text())
        assert config["architectures"] == ["LlamaForCausalLM"]
        assert config["rrr_family"] == prompts.TINY
        assert "auto_map" not in config

    def test_it_is_stored_in_half_the_size_and_loaded_in_full_precision(self):
        """A processor computes slowly in half precision."""
        assert json.loads((self.folder / "config.json").read_text())["dtype"] == "float32"
        header = (self.folder / "model.safetensors").read_bytes()[:4096]
        assert b'"F16"' in header
        assert b'"F32"' not in header


def test_a_data_set_without_lessons_says_which_have():
    with pytest.raises(RrrError, match=r"reasoning-gym.gcd has no lessons .*: reasoning-gym.chain_sum and reasoning"):
        list(load_task("reasoning-gym.gcd").warmup("train", 3, 0))
    task = load_task("reasoning-gym.gcd")
    row = next(task.load_dataset("train"))
    assert task.prompt(row, TINY)[-1]["content"] == answers.prompt(row["question"])
