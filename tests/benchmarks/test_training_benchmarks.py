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


def test_a_step_of_ours_has_the_loss_and_the_gradients_of_stock_trl(tmp_path, monkeypatch):
    import training_step

    # A process for each side takes a while.
    measure, known = training_step.memory_of, []

    def measured_once(*arguments):
        known.extend([] if known else [measure(*arguments)])
        return known[0]

    monkeypatch.setattr(training_step, "memory_of", measured_once)
    training_step.main(
        [*TINY, "--prompt", "40", "--groups", "2", "--repeats", "1", "--kl", "0.01", "--folder", str(tmp_path)]
    )
    rows = rows_of(tmp_path / "training_step.json")
    assert rows["largest relative gap of loss, gradient norm and gradients, float32"]["met"]
    assert rows["ours against stock, head on completions, kl 0.01"]["goal"] == 4
    assert rows["ours against stock, kl 0.01, processor time"]["value"] > 0
    assert rows["stock, memory that a step adds, kl 0.01"]["value"] > 0
    assert (tmp_path / "training_step.svg").exists()


def test_a_side_that_trains_something_else_is_detected(tmp_path, monkeypatch):
    import training_step
    from made_up import save_model

    parser = training_step.options_of(None, groups=1, goal=4.0)
    options = parser.parse_args([*TINY, "--prompt", "40"])
    save_model(training_step.shape_of(options), tmp_path / "model", 0)

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
    apart, _ = training_step.compared(options, 0.0, "float32", 0, tmp_path)
    assert apart["ours"]["gradient"] > training_step.TOLERANCE


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
        assert not trl.trainer.utils._use_triton(torch.device("cpu"))


def test_a_gap_is_relative_to_the_norm():
    from training_step import gap

    one = torch.tensor([3.0, 4.0])
    assert gap(one, one) == 0
    assert gap(one, one * 1.01) == pytest.approx(0.01, rel=1e-4)


def test_a_whole_step_is_compared_with_the_papers_recipe_and_both_write_the_same(tmp_path):
    from whole_step import main

    main([*TINY, "--prompt", "120", "--repeats", "1", "--folder", str(tmp_path)])
    rows = rows_of(tmp_path / "whole_step.json")
    assert rows["greedy reflections and retries are the same"]["met"]
    assert rows["a whole step, ours against stock"]["goal"] == 3
    phases = [rows[f"{phase}, stock"]["value"] for phase in ("reflect", "retry", "judge", "train")]
    assert sum(phases) == pytest.approx(rows["a whole step, stock"]["value"])


def test_texts_are_compared_failure_by_failure():
    from training_step import Watch
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
