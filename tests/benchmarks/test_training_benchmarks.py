"""The training benchmarks in miniature: both sides run, are compared, and differences are found."""

import dataclasses
import json

import pytest

from rrr_core.verdicts import failed, passed
from tests.episodes import make_episode

pytest.importorskip("trl", reason="needs rrr-core[train]")
pytestmark = pytest.mark.train

import torch

from rrr_core.generation.engine import Sampling
from rrr_core.generation.transformers_engine import TransformersEngine
from rrr_core.hookspecs import Model

VERDICTS = [failed("tails"), failed("tails"), failed("tails"), passed()]
TINY = ["--shape", "tiny", "--layers", "0", "--reflection", "8", "--group-size", "4", "--micro-batch-size", "4"]


def rows_of(path):
    return {row["label"]: row for row in json.loads(path.read_text())["rows"]}


def test_a_step_of_ours_is_compared_with_each_peer_and_is_as_exact_as_stock_trl(tmp_path, monkeypatch):
    import training_step

    # A process for each side takes a while.
    measure, known = training_step.memory_of, []

    def measured_once(*arguments):
        known.extend([] if known else [measure(*arguments)])
        return known[0]

    monkeypatch.setattr(training_step, "memory_of", measured_once)
    uneven = ["--shortest", "3", "--goal-grouper", "1.4", "--kl", "0.01", "--folder", str(tmp_path)]
    training_step.main([*TINY, "--prompt", "40", "--groups", "2", "--repeats", "1", *uneven])
    rows = rows_of(tmp_path / "training_step.json")
    assert rows["ours, kl 0.01, error over stock's"]["met"]
    assert rows["ours, --no-shared-prompt, kl 0.01, error over stock's"]["met"]
    assert rows["ours against stock, head on completions, kl 0.01"]["goal"] == 4
    assert rows["ours against stock, kl 0.01, processor time"]["value"] > 0
    assert rows["stock, memory that a step adds, kl 0.01"]["value"] > 0
    assert (tmp_path / "training_step.svg").exists()


def test_bfloat16_is_compared_with_ours_in_float32_and_held_to_stocks_own_error(tmp_path):
    import training_step

    asked = ["--dtype", "bfloat16", "--goal-float32", "2", "--sides", training_step.OURS_IN_FLOAT32, "--no-memory"]
    training_step.main([*TINY, "--prompt", "40", "--repeats", "1", "--kl", "0", *asked, "--folder", str(tmp_path)])
    rows = rows_of(tmp_path / "training_step.json")
    assert rows["ours against ours in float32, kl 0"]["goal"] == 2
    assert rows["ours, kl 0, error over stock's"]["met"]
    assert rows["ours in float32, kl 0, error over stock's"]["value"] < 1e-2
    assert not any("--no-shared-prompt" in label for label in rows)


def options_in(folder, *more):
    import training_step

    options = training_step.parser().parse_args([*TINY, "--prompt", "40", *more])
    training_step.save_model(training_step.shape_of(options), folder / "model", 0)
    return options


def test_prefix_grouper_trains_the_same_on_groups_of_uneven_lengths(tmp_path):
    pytest.importorskip("prefix_grouper", reason="the peer: pip install prefix-grouper==0.0.1.post1")
    import training_step
    from exact import MOST

    options = options_in(tmp_path, "--groups", "2", "--micro-batch-size", "8", "--shortest", "3")
    errors, _ = training_step.compared(options, 0.01, "float32", 0, tmp_path)
    assert errors[training_step.GROUPER].over(errors[training_step.COMPACT]) < MOST


def test_a_peer_that_is_missing_is_left_out_unless_it_is_asked_for(tmp_path, monkeypatch):
    import training_step

    monkeypatch.setattr(training_step.importlib.util, "find_spec", lambda _: None)
    assert training_step.GROUPER not in training_step.sides_of(options_in(tmp_path))
    with pytest.raises(SystemExit, match="pip install prefix-grouper==0.0.1.post1"):
        training_step.sides_of(options_in(tmp_path, "--sides", training_step.GROUPER))


def test_a_side_that_trains_something_else_is_detected(tmp_path, monkeypatch):
    import training_step
    from exact import MOST

    class OtherRewards(training_step.FixedRollout):
        def play(self, failures, seed):
            episodes = super().play(failures, seed)
            return [
                dataclasses.replace(
                    one, segments=(*one.segments[:-1], dataclasses.replace(one.segments[-1], verdict=other))
                )
                for one, other in zip(episodes, VERDICTS, strict=True)
            ]

    monkeypatch.setattr(training_step, "FixedRollout", OtherRewards)
    errors, _ = training_step.compared(options_in(tmp_path), 0.0, "float32", 0, tmp_path)
    assert errors["ours"].over(errors[training_step.COMPACT]) > 1000 * MOST


@pytest.mark.parametrize("change", ["loss", "a small parameter", "all parameters a little"])
def test_an_error_beyond_stocks_own_is_detected(change):
    from exact import MOST, Step, errors_of

    torch.manual_seed(0)
    exact = Step(0.5, {"large": torch.randn(200, 200).double(), "small": 1e-3 * torch.randn(20).double()})

    def rounded(by):
        return {name: (one * (1 + by * torch.randn(one.shape))).float() for name, one in exact.gradients.items()}

    stock = errors_of(Step(0.5, rounded(1e-6)), exact)
    assert errors_of(Step(0.5 + 1e-7, rounded(1e-6)), exact).over(stock) < MOST
    loss, gradients = 0.5, rounded(1e-5 if change == "all parameters a little" else 1e-6)
    if change == "loss":
        loss += 1e-5
    if change == "a small parameter":
        gradients["small"] *= 1 + 1e-5
    assert errors_of(Step(loss, gradients), exact).over(stock) > MOST


def test_stock_has_trls_own_head_whatever_ours_replaced(monkeypatch):
    import trl.trainer.utils
    from stock import published
    from trl.kernels import ChunkedLogProbFunction

    monkeypatch.setattr(trl.trainer.utils, "_ChunkedLogProbFunction", None)
    for on_completions in (False, True):
        with published(on_completions):
            assert trl.trainer.utils._ChunkedLogProbFunction is ChunkedLogProbFunction
            assert trl.trainer.utils._use_triton(torch.device("cpu")) == on_completions
        assert trl.trainer.utils._ChunkedLogProbFunction is None


def test_a_whole_step_is_compared_with_the_papers_recipe_and_both_write_the_same(tmp_path):
    from whole_step import main

    main([*TINY, "--prompt", "120", "--repeats", "1", "--folder", str(tmp_path)])
    rows = rows_of(tmp_path / "whole_step.json")
    assert rows["greedy reflections and retries are the same"]["met"]
    assert rows["a whole step, ours against stock"]["goal"] == 3
    phases = [rows[f"{phase}, stock"]["value"] for phase in ("reflect", "retry", "judge", "train")]
    assert sum(phases) == pytest.approx(rows["a whole step, stock"]["value"])


def test_texts_are_compared_failure_by_failure():
    from one_step import Watch
    from whole_step import WholeSide

    episode = make_episode(failed("wrong"), passed(), reflection="reflection", retry="retry")
    side = WholeSide(None, Watch(), episodes=[episode])
    assert side.texts() == {0: {("reflection", "retry")}}


@pytest.mark.parametrize("length", [2, 9])
def test_a_made_up_model_writes_texts_of_one_length(tmp_path, length):
    from made_up import SHAPES, save_model
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

    save_model(SHAPES["tiny"], tmp_path, 0, ends_after=length)
    network = Qwen2ForCausalLM.from_pretrained(tmp_path)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    engine = TransformersEngine(network, tokenizer, Model("random"))
    asked = [[{"role": "user", "content": f"w{word} w{3 * word}"}] for word in range(10, 40)]
    written = engine.generate(asked, Sampling(temperature=1.0, max_tokens=40, seed=1))
    assert {len(one.token_ids) for one in written} == {length}
    assert {one.finish for one in written} == {"stop"}
    assert len({one.text for one in written}) > 10


def test_texts_of_the_made_up_tokenizer_survive_encoding_and_decoding():
    from made_up import make_tokenizer

    tokenizer = make_tokenizer(64)
    ids = [9, 63, 5]
    assert tokenizer(tokenizer.decode(ids), add_special_tokens=False)["input_ids"] == ids


def test_a_cut_model_keeps_the_shares_of_layers_and_vocabulary():
    from made_up import SHAPES

    cut = SHAPES["0.5B"].cut(6)
    assert (cut.layers, cut.vocabulary, cut.hidden) == (6, 151_936 // 4, 896)
