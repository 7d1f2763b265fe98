"""The seeded generator: gold calls that follow from the query, disjoint splits, a fixed order."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations, islice

import pytest
from rrr_apigen.generated import CALLS, JOINTS, OFFERED, Recipe, draw_row, functions, generate, request, worded
from rrr_apigen.generated.catalogue import CONVERTED, NOUNS, PARAMETERS, SPLIT_SHARES, VERBS


def rows(split, count=1000, recipe=None):
    return list(islice(generate(split, recipe or Recipe()), count))


def names(drawn):
    return {tool["name"] for row in drawn for tool in row["tools"]}


def test_the_same_seed_gives_the_same_rows_and_another_seed_gives_others():
    assert rows("train", 200) == rows("train", 200)
    assert rows("train", 200) != rows("train", 200, Recipe(seed=1))


def test_no_function_is_in_two_splits_whatever_the_seeds():
    offered = {
        split: names(row for seed in range(3) for row in rows(split, recipe=Recipe(seed=seed)))
        for split in SPLIT_SHARES
    }
    for one, other in combinations(offered.values(), 2):
        assert one
        assert not one & other


def test_warm_up_contains_every_verb_and_noun_so_only_their_pairing_is_new_later():
    taught = functions("warmup")
    assert {function.verb.name for function in taught} == {verb.name for kind in VERBS.values() for verb in kind}
    assert {function.noun for function in taught} == {
        noun for kinds in NOUNS.values() for nouns in kinds.values() for noun in nouns
    }


def test_there_are_many_functions_over_many_domains_with_the_parameters_of_the_real_set():
    every = [function for split in SPLIT_SHARES for function in functions(split)]
    assert len(every) > 600
    assert len({function.domain for function in every}) == len(NOUNS) > 20
    assert 2.0 < sum(len(function.parameters) for function in every) / len(every) < 2.6
    types = {definition["type"] for f in every for definition in f.definition()["parameters"].values()}
    assert {"str", "int", "float", "bool", "List[int]", "List[str]", "str, optional", "int, optional"} <= types


def test_no_query_occurs_twice():
    queries = [row["query"] for row in rows("train", 3000)]
    assert len(set(queries)) == len(queries)


def test_a_row_offers_one_to_eight_distinct_functions_including_every_called_one():
    counts = Counter()
    for row in rows("test", 2000):
        offered = [tool["name"] for tool in row["tools"]]
        assert len(set(offered)) == len(offered)
        assert {call["name"] for call in row["answers"]} <= set(offered)
        counts[len(offered)] += 1
    assert set(counts) == set(OFFERED) == set(range(1, 9))


def test_single_repeated_and_parallel_calls_all_occur():
    kinds = Counter()
    for row in rows("train", 2000):
        called = [call["name"] for call in row["answers"]]
        kinds["one" if len(called) == 1 else "repeated" if len(set(called)) == 1 else "parallel"] += 1
    for kind, share in CALLS.items():
        assert abs(kinds[kind] / 2000 - share) < 0.05


def test_gold_calls_follow_from_the_query_word_for_word():
    for row in rows("train", 500):
        joints = [joint for joint in JOINTS if joint in row["query"]]
        parts = row["query"].split(joints[0]) if joints else [row["query"]]
        assert len(parts) == len(row["answers"])
        for part, call in zip(parts, row["answers"], strict=True):
            for name, value in call["arguments"].items():
                assert worded(PARAMETERS[name], value) in part


def test_optional_parameters_are_omitted_about_half_the_time():
    given, left_out = 0, 0
    for row in rows("train", 1000):
        tools = {tool["name"]: tool["parameters"] for tool in row["tools"]}
        for call in row["answers"]:
            for name, definition in tools[call["name"]].items():
                if "optional" in definition["type"]:
                    assert "default" in definition
                    given, left_out = given + (name in call["arguments"]), left_out + (name not in call["arguments"])
                else:
                    assert name in call["arguments"]
    assert 0.4 < given / (given + left_out) < 0.6


def test_no_two_verbs_share_a_querys_words():
    words = [word for kind in VERBS.values() for verb in kind for word in verb.words]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("most_tools", [1, 2, 4])
def test_a_recipe_bounds_functions_and_calls(most_tools):
    for row in rows("train", 200, Recipe(most_tools=most_tools, most_calls=1)):
        assert len(row["tools"]) <= most_tools
        assert len(row["answers"]) == 1


def test_a_request_names_verb_noun_and_every_argument():
    rng = random.Random(0)
    row, calls = draw_row(functions("train"), Recipe(most_calls=1), rng)
    text = request(calls[0], rng)
    assert any(text.startswith(f"{words} the {calls[0].function.noun}") for words in calls[0].function.verb.words)
    assert row["answers"] == [calls[0].to_json()]


def test_queries_give_most_measured_values_in_a_larger_unit():
    counts = Counter()
    for row in rows("train", 2000):
        for call in row["answers"]:
            for name, value in call["arguments"].items():
                unit = PARAMETERS[name].unit
                if unit:
                    counts[bool(unit.count(value))] += 1
                    words = unit.wording.format(unit.count(value)) if unit.count(value) else f"{value} {unit.own}"
                    assert words in row["query"]
    assert abs(counts[True] / counts.total() - CONVERTED) < 0.03
