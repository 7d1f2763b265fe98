"""The benchmark of deciding without an oracle, in miniature: a line for every decider; a second call asks nothing."""

import json

import pytest

pytest.importorskip("trl", reason="needs rrr-core[train]")
pytestmark = pytest.mark.train

from rrr_core.tasks import load_task


def test_each_model_and_mode_has_a_line_for_every_decider_and_the_oracle_loses_nothing(tmp_path, monkeypatch):
    import oracle_gap
    from three_seeds import options_of

    model = load_task("countdown").default_model()
    arguments = [str(tmp_path), "--rows", "12", "--seeds", "0", "1", "--trained", model]
    options = oracle_gap.add_options(options_of(oracle_gap.__doc__)).parse_args(
        [*arguments, "--rates", "0.3", "--samples", "2", "--no-ask"]
    )
    oracle_gap.make(options)
    lines = oracle_gap.table(options)
    names = ["oracle", "always", "agreement, 0.5 of 2", "agreement, 1 of 2"]
    names += ["verifier, 30% false passes", "verifier, 30% false failures"]
    assert [line["decider"] for line in lines] == 4 * names
    assert [(line["mode"], line["model"]) for line in lines[:: len(names)]] == [
        ("greedy", "vanilla"),
        ("greedy", "trained"),
        ("sampled", "vanilla"),
        ("sampled", "trained"),
    ]
    for line in lines:
        assert (line["rows"], line["seeds"]) == (12, 2)
        gap = line["lost"]["value"]
        assert gap == pytest.approx(lines[lines.index(line) // 6 * 6]["right"]["value"] - line["right"]["value"])
        assert line["right_to_wrong"]["value"] == 0 or line["decider"] != "verifier, 30% false passes"
        if line["decider"] == "oracle":
            assert gap == 0
    json.dumps(lines)
    shown = oracle_gap.markdown(lines).splitlines()
    assert len(shown) == 2 + len(lines)
    assert len({line.count("|") for line in shown}) == 1

    # Untrained and trained are the same model here.
    assert [line["right"] for line in lines[:6]] == [line["right"] for line in lines[6:12]]

    def unasked(*_):
        raise AssertionError("a finished evaluation asks the model")

    monkeypatch.setattr("rrr_core.generation.transformers_engine.TransformersEngine.generate", unasked)
    oracle_gap.make(options)
    assert oracle_gap.table(options) == lines


def test_a_figure_that_a_seed_lacks_has_no_mean():
    from oracle_gap import mean_of

    assert mean_of([{"retried_right": {"value": 1.0}}, {"retried_right": None}], "retried_right") is None
    assert mean_of([{"tokens": {"total": 20.0}}, {"tokens": {"total": 30.0}}], "tokens")["value"] == 25


def test_the_errors_of_the_verifier_have_the_seed_of_the_run():
    import oracle_gap
    from three_seeds import options_of

    options = oracle_gap.add_options(options_of("")).parse_args(["x", "--rates", "0.1"])
    made = [oracle_gap.deciders_of(options, seed) for seed in (0, 1)]
    assert list(made[0]) == list(made[1])
    assert made[1]["verifier, 10% false passes"] == "noisy:false_pass=0.1,false_fail=0,seed=1"
