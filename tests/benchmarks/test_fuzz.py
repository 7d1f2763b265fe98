"""The fuzzer's oracles agree with known verdicts, and its inputs encode the right texts."""

import random

import pytest

pytest.importorskip("rrr_countdown")
pytest.importorskip("rrr_apigen")


@pytest.fixture(params=["countdown", "apigen"])
def target(request):
    from fuzz_targets import TARGETS

    return TARGETS[request.param][0]()


@pytest.mark.parametrize("task", ["countdown", "apigen"])
def test_the_oracle_agrees_with_every_known_verdict_unless_it_abstains(task):
    import importlib

    import oracles

    oracle = getattr(oracles, task)
    cases = [*importlib.import_module(f"rrr_{task}.examples").EXAMPLES]
    cases += importlib.import_module(f"rrr_{task}.hostile").CASES
    opinions = [(case, oracle(case.row, case.answer)) for case in cases]
    judged = [(case, right) for case, right in opinions if right is not None]
    assert len(judged) > 0.8 * len(cases)
    assert [case.reason for case, right in judged if right != (case.outcome == "passed")] == []


def test_a_seed_encodes_the_text_it_was_made_from(target):
    from fuzz import RAW, decode, encode

    for index, text in target.seeds:
        data = encode(target, index, text)
        if not data[0] & RAW:
            assert decode(target, data, longest=10_000) == (index, text)


def test_any_bytes_encode_a_row_and_a_text_of_bounded_length(target):
    from fuzz import LONGEST_TEXT, decode

    rng = random.Random(1)
    for _ in range(3_000):
        data = rng.randbytes(rng.randint(0, 64))
        index, text = decode(target, data)
        assert 0 <= index < len(target.rows)
        assert len(text) <= 20 * LONGEST_TEXT


def test_the_built_texts_are_often_right_and_often_wrong(target):
    rng = random.Random(1)
    texts = [(row, target.build(row, rng.randbytes(n))) for row in target.rows for n in (0, 2, 4, 20, 40) * 5]
    outcomes = [target.verify(row, text).outcome for row, text in texts]
    assert {"passed", "failed"} == set(outcomes)


def test_the_fuzzers_judge_reports_every_kind_of_finding(target):
    from dataclasses import replace

    from fuzz import Judge

    from rrr_core.verdicts import failed, passed

    def raises(row, text):
        raise RecursionError

    for verify, oracle, kind in (
        (raises, lambda row, text: False, "exception"),
        (lambda row, text: passed(), lambda row, text: False, "false pass"),
        (lambda row, text: failed("x"), lambda row, text: True, "false failure"),
    ):
        judge = Judge(replace(target, verify=verify, oracle=oracle))
        judge(b"\x00\x01")
        assert dict(judge.findings) == {kind: 1}
        assert judge.shown[0]["kind"] == kind


def test_a_right_verdict_is_not_a_finding(target):
    from fuzz import Judge, encode

    judge = Judge(target)
    for index, text in target.seeds[:20]:
        judge(encode(target, index, text))
    assert not judge.findings
    assert judge.verdicts["passed"] > 0
