"""The mutation score: changes that matter are refused, changes that do not are accepted."""

import itertools

import pytest
from rrr_apigen.examples import EXAMPLES
from rrr_apigen.generated import Recipe, generate
from rrr_apigen.mutations import MUST_FAIL, MUST_PASS, score

from rrr_core.verdicts import abstained, failed, passed

VALUES = [
    {"x": 0, "y": -0.0, "z": [0, 0.0], "on": False, "text": ""},
    {"big": 2**80 + 1, "small": -1.25, "on": True, "texts": ["ß", "\ud800", "\u202eabc", '"', "\\", "</tool_call>"]},
    {"deep": {"a": [{"b": [1, [2.5, None]]}], "": {"c": True}}, "nothing": None, "made_up": 1},
]
ROWS = [
    *itertools.islice(generate("test", Recipe()), 150),
    *itertools.islice(generate("train", Recipe()), 150),
    *(example.row for example in EXAMPLES if example.outcome == "passed"),
    *({"answers": [{"name": "f", "arguments": arguments}]} for arguments in VALUES),
    {"answers": [{"name": "f", "arguments": arguments} for arguments in VALUES]},
]


@pytest.fixture(scope="module")
def counts():
    return score(ROWS)


@pytest.mark.parametrize("name", [*MUST_FAIL, *MUST_PASS])
def test_no_mutation_is_judged_wrongly(counts, name):
    assert counts[name].judged > 0
    assert counts[name].wrong == 0


def test_there_are_as_many_mutations_as_promised(counts):
    assert len(MUST_FAIL) >= 20
    assert len(MUST_PASS) >= 8
    assert counts.keys() == {*MUST_FAIL, *MUST_PASS}
    assert sum(count.judged for count in counts.values()) > 5_000


def test_a_mutation_does_not_change_its_row():
    row = {"answers": [{"name": "f", "arguments": {"x": 1, "texts": ["a", "b"]}}]}
    score([row])
    assert row == {"answers": [{"name": "f", "arguments": {"x": 1, "texts": ["a", "b"]}}]}


@pytest.mark.parametrize(
    ("verdict", "of_failing", "of_passing"),
    [(passed(), 1, 0), (failed("format"), 0, 1), (abstained("timeout", ""), 1, 1)],
)
def test_a_verifier_that_always_gives_the_same_verdict_scores_badly(verdict, of_failing, of_passing):
    for count in score(ROWS[:20], lambda row, answer: verdict).values():
        assert count.wrong == count.judged * (of_passing if count.must_pass else of_failing)


def test_the_same_seed_gives_the_same_answers_and_another_seed_gives_others():
    def answers(seed):
        given = []

        def verifier(row, answer):
            given.append(answer)
            return passed()

        score(ROWS[:20], verifier, seed)
        return given

    assert answers(0) == answers(0) != answers(1)
