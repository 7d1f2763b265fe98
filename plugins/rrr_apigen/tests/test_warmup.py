"""The worked conversations, and the embedded model that learned from them."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import rrr_apigen
from rrr_apigen import calls, tiny, warmup
from rrr_apigen.conversions import conversion, conversions
from rrr_apigen.generated import Recipe, draw_row, functions, generate

RIGHT_KINDS = (2, 4, 6)


def cases(count, seed=0, stage=warmup.EARLY):
    """Rows, their gold calls and a conversation on each, before they are sorted by length."""
    rng = random.Random(seed)
    _, stray = draw_row(functions("warmup"), Recipe(), rng)
    for _ in range(count):
        row, gold = draw_row(functions("warmup"), Recipe(), rng)
        yield row, gold, warmup.conversation(row, gold, stray, stage, rng)
        stray = gold


def whole_cases(count, **options):
    """Those with a reflection: row, gold calls, first attempt, reflection, retry."""
    for row, gold, messages in cases(count, **options):
        if len(messages) == 6:
            yield row, gold, *(message["content"] for message in messages[1::2])


def is_worked(text):
    return "It asks to" in text or "=" in text


def test_no_warm_up_function_occurs_in_mining_or_evaluation():
    taught = {function.name for function in functions("warmup")}
    for split in ("train", "test"):
        met = {tool["name"] for row in islice(generate(split, Recipe()), 2000) for tool in row["tools"]}
        assert met
        assert not met & taught


def test_conversations_depend_on_the_seed_alone():
    assert list(warmup.conversations(50, Recipe(), 0)) == list(warmup.conversations(50, Recipe(), 0))
    assert list(warmup.conversations(50, Recipe(), 0)) != list(warmup.conversations(50, Recipe(), 1))


def test_a_conversation_ends_if_the_answer_is_right_and_continues_if_it_is_wrong():
    for row, _, messages in cases(500):
        assert calls.verify(row, messages[1]["content"]).is_passed == (len(messages) == 2)
        assert len(messages) in RIGHT_KINDS
        assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2)


def test_the_retry_is_right_after_a_worked_reflection_on_the_row_and_rarely_after_another():
    right = {True: Counter(), False: Counter()}
    for row, _, _, reflection, retry in whole_cases(4000):
        is_own = reflection.endswith(warmup.worked(row["answers"]))
        right[is_own][calls.verify(row, retry).is_passed] += 1
    assert right[True][False] == 0
    assert right[True][True] > 1000
    assert right[False][True] < 0.1 * sum(right[False].values())


def test_the_retry_takes_its_numbers_from_the_reflection_even_if_they_are_wrong_for_the_row():
    followed = 0
    for row, gold, _, reflection, retry in whole_cases(4000):
        needed = conversions(row["answers"])
        if not is_worked(reflection) or len(gold) > 1 or len(needed) != 1:
            continue
        (name, value), unit = converted(row["answers"][0]), needed[0].unit
        results = [int(number) for number in re.findall(rf"=(\d+) {unit.own}\.", reflection)]
        passed = json.loads(retry)[0]["arguments"][name]
        assert passed == (results[0] if results else needed[0].count)
        followed += passed != value and bool(results)
    assert followed > 50


def converted(call):
    return next((name, value) for name, value in call["arguments"].items() if conversion(name, value))


def test_numbers_in_another_unit_are_passed_as_they_stand_unless_a_reflection_works_them_out():
    attempts, right = Counter(), Counter()
    for row, _, messages in cases(4000, stage=warmup.LATE):
        kind = "convert" if conversions(row["answers"]) else "plain"
        attempts[kind] += 1
        right[kind] += len(messages) == 2
    assert 0.03 < right["convert"] / attempts["convert"] < 0.09
    assert 0.65 < right["plain"] / attempts["plain"] < 0.85


def test_a_worked_reflection_holds_the_results_or_the_arguments_in_words_and_never_a_call():
    for row in islice(generate("warmup", Recipe()), 300):
        text = warmup.worked(row["answers"])
        for each in conversions(row["answers"]):
            assert f"={each.result} {each.unit.own}." in text
        for call in row["answers"]:
            assert call["name"] not in text
            assert json.dumps(call["arguments"]) not in text
        assert not calls.verify(row, text).is_passed


def test_every_slip_fails_and_is_named():
    rng = random.Random(1)
    for _ in range(2000):
        row, gold = draw_row(functions("warmup"), Recipe(), rng)
        wanted = [call.to_json() for call in gold]
        text = warmup.slipped(wanted, row["tools"], rng)
        assert calls.verify(row, text).is_failed, text
        assert warmup.slip_in(wanted, text), text


GOLD = [{"name": "get_wind", "arguments": {"city": "Rome", "days": 5}}]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('[{"name": "get_wind", "arguments": {"days": 5, "city": "Rome"}}]', ""),
        ('[{"name": "get_wind", "arguments": {"city": "Rome"}}]', "I left out days."),
        ('[{"name": "get_wind", "arguments": {"city": "Rome", "days": "5"}}]', "My days was wrong."),
        ('[{"name": "get_tide", "arguments": {"city": "Rome", "days": 5}}]', "I called get tide, not get wind."),
        ('[{"name": "get_wind", "arguments": {"city": "Rome", "days": 5, "page": 1}}]', "I added page."),
        ("[]", "I made 0 calls, not 1."),
        ('[{"name": "get_wind", "arguments": {"city": "Rome", "days": 5}}', "My JSON was broken."),
        ("[1]", "My JSON was broken."),
        ("[" * 100_000, "My JSON was broken."),
    ],
)
def test_slips_are_named_correctly(answer, said):
    assert warmup.slip_in(GOLD, answer) == said


def test_haste_passes_numbers_as_the_query_gives_them():
    three_weeks = [{"name": "get_wind", "arguments": {"city": "Rome", "days": 21}}]
    assert warmup.hasty(three_weeks) == [{"name": "get_wind", "arguments": {"city": "Rome", "days": 3}}]
    assert warmup.hasty([*GOLD, *three_weeks]) == [*GOLD, *warmup.hasty(three_weeks)]


def test_haste_where_nothing_needs_converting_stops_before_the_last_argument_or_after_the_first_call():
    two = [*GOLD, {"name": "get_tide", "arguments": {"city": "Oslo"}}]
    assert warmup.hasty(GOLD) == [{"name": "get_wind", "arguments": {"city": "Rome"}}]
    assert warmup.hasty(two) == GOLD
    assert warmup.hasty(two[1:]) == two[1:]


def test_shares_add_up_and_are_kept():
    rng = random.Random(0)
    names = Counter(warmup.choose(warmup.HASTY, rng) for _ in range(20_000))
    for kind, share in warmup.HASTY.items():
        assert abs(names[kind] / 20_000 - share) < 0.02
    attempts = (warmup.HASTY, warmup.PLAIN, warmup.HASTY_RETRY, warmup.PLAIN_RETRY)
    stages = (shares for stage in (warmup.EARLY, warmup.LATE) for shares in (stage.reflections, stage.numbers))
    for shares in (*attempts, *stages, warmup.VAGUE):
        assert sum(shares.values()) == pytest.approx(1)


def test_worked_reflections_are_frequent_first_and_rare_and_mostly_right_at_the_end():
    for stage, share in ((warmup.EARLY, 0.85), (warmup.LATE, 0.18)):
        worked = [(row, text) for row, _, _, text, _ in whole_cases(4000, stage=stage) if is_worked(text)]
        assert abs(len(worked) / sum(1 for _ in whole_cases(4000, stage=stage)) - share) < 0.04
        own = sum(text.endswith(warmup.worked(row["answers"])) for row, text in worked)
        assert own / len(worked) > stage.numbers["own"] - 0.04


def test_conversations_of_similar_length_are_adjacent_and_none_is_lost():
    def length(messages):
        return sum(len(message["content"]) for message in messages)

    made = [conversation for _, _, conversation in cases(warmup.BLOCK)]
    ordered = list(warmup.in_batches_alike(iter(made), random.Random(0)))
    assert sorted(map(json.dumps, ordered)) == sorted(map(json.dumps, made))
    batches = [list(map(length, ordered[i : i + warmup.ALIKE])) for i in range(0, len(ordered), warmup.ALIKE)]
    spread = sum(max(batch) - min(batch) for batch in batches) / len(batches)
    assert spread < 0.2 * sum(map(length, made)) / len(made)


def test_the_tiny_prompt_shows_every_function_and_the_query():
    row = next(generate("test", Recipe()))
    text = tiny.prompt(row)
    assert text.endswith(f"Query: {row['query']}")
    assert all(f"{tool['name']}(" in text for tool in row["tools"])


class TestTheEmbeddedModel:
    folder = rrr_apigen.EMBEDDED_MODEL

    def test_it_is_the_default_model(self):
        assert rrr_apigen.rrr_default_model() == str(self.folder)

    def test_it_is_a_stock_architecture_in_safetensors_of_at_most_8_mb_with_a_fast_tokenizer(self):
        files = {path.name: path.stat().st_size for path in Path(self.folder).iterdir()}
        assert 1_000_000 < files["model.safetensors"] <= 8_000_000
        assert {"tokenizer.json", "chat_template.jinja"} <= files.keys()
        assert not any(name.endswith((".py", ".bin", ".pt", ".pkl")) for name in files)
        config = json.loads((Path(self.folder) / "config.json").read_text())
        assert config["architectures"] == ["LlamaForCausalLM"]
        assert config["rrr_family"] == tiny.FAMILY
        assert "auto_map" not in config


@pytest.mark.parametrize(
    ("attempt", "slip"),
    [
        ('[{"name": "get_wind", "arguments": {"city": "Rome"}}]', "I left out days."),
        ("I cannot.", "My JSON was broken."),
        ('[{"name": 5, "arguments": {"a": 1}}]', "My JSON was broken."),
        ('{"name": "get_wind", "arguments": {}}', "My JSON was broken."),
        ("[[[", "My JSON was broken."),
    ],
)
def test_a_written_reflection_names_the_slip_and_works_the_query_out(attempt, slip):
    import rrr_apigen

    row = {"answers": [{"name": "get_wind", "arguments": {"city": "Rome", "days": 21}}]}
    assert rrr_apigen.rrr_worked_reflection(row, attempt) == f"{slip} 3 weeks are 3*7=21 days."
