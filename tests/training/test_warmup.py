"""Warm-up: a tiny model from scratch, or any model, learns a task's worked conversations."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file
from trl import SFTTrainer

from rrr_core.episode.calls import calls_to_text
from rrr_core.errors import ModelError, RrrError
from rrr_core.generation.engine import Sampling
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.hookspecs import Call
from rrr_core.profiling.profile import read_profile
from rrr_core.training.tiny import FAMILY, make_model, make_tokenizer
from rrr_core.training.warmup import warm_up
from rrr_core.training.warmup_settings import WarmupSettings
from tests.chat.templates import tokenizer_of
from tests.training.conftest import CoinTask
from tests.training.test_resume import StopAfter, weights

pytestmark = pytest.mark.train

SMALL = WarmupSettings(
    conversations=256,
    batch_size=16,
    learning_rate=5e-3,
    hidden_size=32,
    layers=1,
    heads=2,
    context=64,
    vocabulary=700,
    save_every=4,
)


SMALLEST = dataclasses.replace(SMALL, conversations=64)


class Parrot(CoinTask):
    """Teaches one answer of two words to every question."""

    def warmup(self, split: str, count: int, seed: int) -> Iterator[list[dict[str, str]]]:
        for number in range(count):
            yield [
                {"role": "user", "content": f"Toss {number % 50}."},
                {"role": "assistant", "content": "heads again"},
            ]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return warm_up([Parrot()], tmp_path_factory.mktemp("warm"), SMALL)


def test_a_warm_ups_time_and_tokens_are_in_its_profile(warm: Path) -> None:
    spent = read_profile(warm.parent)
    assert spent is not None
    assert set(spent.seconds) == {"generate", "judge", "forward_backward", "optimiser", "sync", "save"}
    assert spent.seconds["forward_backward"] > spent.seconds["generate"] == 0
    assert spent.tokens["trained"] > 2 * SMALL.conversations


def test_a_model_from_scratch_learns_what_the_conversations_teach(warm: Path) -> None:
    engine = load_transformers(str(warm))
    asked = [[{"role": "user", "content": f"Toss {number}."}] for number in (3, 41)]
    made = engine.generate(asked, Sampling(temperature=0, max_tokens=8))
    assert [(one.text, one.finish) for one in made] == [("heads again", "stop")] * 2


def test_a_model_from_scratch_is_of_our_family_and_a_stock_llama(warm: Path) -> None:
    engine = load_transformers(str(warm))
    assert engine.model.family == FAMILY
    assert type(engine.network).__name__ == "LlamaForCausalLM"
    assert not list(warm.parent.glob("*.part"))


def test_the_users_words_are_not_learned(warm: Path) -> None:
    """The questions are never a target, so the model gives them hardly any probability."""
    engine = load_transformers(str(warm))
    ids = engine.tokenizer("<|user|>Toss 7.<|end|>", add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logps = engine.network(input_ids=ids).logits[0, :-1].log_softmax(-1)
    taken = logps.gather(1, ids[0, 1:].unsqueeze(1)).squeeze(1)
    assert taken.mean() < -3


def test_each_assistants_message_of_a_course_is_learned_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[int], list[int]]] = []
    computed = SFTTrainer.compute_loss

    def compute_loss(self: Any, model: Any, inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        seen.extend(zip(inputs["input_ids"].tolist(), inputs["labels"].tolist(), strict=True))
        return computed(self, model, inputs, *arguments, **keywords)

    class Acting(Parrot):
        def warmup(self, split: str, count: int, seed: int) -> Iterator[list[dict[str, str]]]:
            for number in range(count):
                yield [
                    {"role": "user", "content": f"Toss {number % 50}."},
                    {"role": "assistant", "content": "look"},
                    {"role": "tool" if number % 2 else "user", "content": "it is up"},
                    {"role": "assistant", "content": "heads again"},
                ]

    monkeypatch.setattr(SFTTrainer, "compute_loss", compute_loss)
    model = warm_up([Acting()], tmp_path, dataclasses.replace(SMALL, conversations=32, batch_size=16))
    tokenizer = load_transformers(str(model)).tokenizer
    assert len(seen) == 32
    roles = set()
    for ids, labels in seen:
        shown = "".join(
            tokenizer.decode([token]) if token == label else "_" for token, label in zip(ids, labels, strict=True)
        )
        assert {label for token, label in zip(ids, labels, strict=True) if label != token} == {-100}
        assert [part for part in shown.split("_") if part] == ["look<|end|>", "heads again<|end|>"]
        text = tokenizer.decode(ids)
        roles.add("tool" if "<|tool|>it is up<|end|>" in text else "user")
        assert f"<|{'tool' if '<|tool|>' in text else 'user'}|>it is up<|end|><|assistant|>heads again<|end|>" in text
    assert roles == {"tool", "user"}


class Calling(CoinTask):
    """Teaches to call a tool; each conversation's call has an argument of its own."""

    def warmup(self, split: str, count: int, seed: int) -> Iterator[list[dict[str, str]]]:
        tools = [{"type": "function", "function": {"name": "toss", "parameters": {"type": "object"}}}]
        for number in range(count):
            yield [
                {"role": "tools", "content": json.dumps(tools)},
                {"role": "user", "content": "Toss."},
                {
                    "role": "assistant",
                    "content": "",
                    "calls": calls_to_text([Call("toss", {f"coin_{number}": None, "edge <|im_end|>": [number]})]),
                },
                {"role": "tool", "content": "it is up"},
                {"role": "assistant", "content": "heads"},
            ]


def test_calls_of_tools_are_learned_as_the_template_writes_them_and_what_they_led_to_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[int], list[int]]] = []
    computed = SFTTrainer.compute_loss

    def compute_loss(self: Any, model: Any, inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        seen.extend(zip(inputs["input_ids"].tolist(), inputs["labels"].tolist(), strict=True))
        return computed(self, model, inputs, *arguments, **keywords)

    monkeypatch.setattr(SFTTrainer, "compute_loss", compute_loss)
    tokenizer, settings = tokenizer_of("qwen2_5"), dataclasses.replace(SMALL, context=1024)
    tokenizer.save_pretrained(tmp_path / "start")
    make_model(tokenizer, settings).save_pretrained(tmp_path / "start")
    warm_up(
        [Calling()],
        tmp_path / "warm",
        dataclasses.replace(settings, conversations=4, batch_size=2),
        str(tmp_path / "start"),
    )
    learned = set()
    for ids, labels in seen:
        shown = "".join(
            tokenizer.decode([token]) if token == label else "\0" for token, label in zip(ids, labels, strict=True)
        )
        assert '"name": "toss"' in tokenizer.decode(ids).partition("<|im_start|>user")[0]  # the tools
        call, answer = (part.lstrip("\n") for part in shown.split("\0") if part)
        assert answer == "heads<|im_end|>\n"
        assert call.count("<|im_end|>") == 1  # what a row spells is no token
        learned.add(call)
    assert len(learned) == 4
    assert all(call.startswith('<tool_call>\n{"name": "toss", "arguments": {"coin_') for call in learned)
    assert all('": null, "edge ' in call for call in learned)


def test_calls_that_the_template_does_not_write_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="call tools, and the model's chat template writes no calls: warm up another"):
        warm_up([Calling()], tmp_path, SMALL)


def test_an_interrupted_warm_up_ends_bit_equal_to_an_uninterrupted_one(warm: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        warm_up([Parrot()], tmp_path, SMALL, progress=StopAfter(7))
    assert not (tmp_path / "model").exists()
    warm_up([Parrot()], tmp_path, SMALL)
    assert weights(tmp_path) == weights(warm.parent)


def test_a_finished_warm_up_is_not_run_again_and_other_settings_are_refused(warm: Path) -> None:
    assert warm_up([Parrot()], warm.parent, SMALL, progress=StopAfter(0)) == warm
    with pytest.raises(RrrError, match="learning_rate"):
        warm_up([Parrot()], warm.parent, dataclasses.replace(SMALL, learning_rate=1e-3))


def test_any_model_can_be_warmed_up(tiny_model: Path, tmp_path: Path) -> None:
    few = dataclasses.replace(SMALL, conversations=64)
    model = warm_up([Parrot()], tmp_path, few, model_name=str(tiny_model))
    assert load_transformers(str(model)).network.config.hidden_size == 32
    with pytest.raises(ModelError, match="nowhere"):
        warm_up([Parrot()], tmp_path / "other", few, model_name=str(tmp_path / "nowhere"))


def test_the_tokenizer_from_scratch_gives_back_any_text_and_whole_numbers_are_one_token() -> None:
    tokenizer = make_tokenizer(["I got 4, not 12."] * 4, 700)
    for text in ("I got 4, not 12.", "ünïcödé 日本 \u202e\x00", " a  b\n\tc", "<answer>1+2</answer>", "1234567"):
        ids: Any = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
    for number in (0, 7, 42, 299):
        assert len(tokenizer(str(number), add_special_tokens=False)["input_ids"]) == 1


def test_a_tag_is_one_token_that_a_reader_of_the_text_still_sees() -> None:
    texts = ["<think> no </think>"] * 4
    tags = ("<answer>", "</answer>", "<think>")
    tokenizer = make_tokenizer(texts, 700, tags)
    for tag in tags:
        ids: Any = tokenizer(f"so{tag}4", add_special_tokens=False)["input_ids"]
        assert tokenizer.convert_tokens_to_ids(tag) in ids
        assert tag in tokenizer.decode(ids, skip_special_tokens=True)
    assert len(tokenizer("</think>", add_special_tokens=False)["input_ids"]) > 1


def test_the_tags_of_the_settings_reach_the_tokenizer(tmp_path: Path) -> None:
    few = dataclasses.replace(SMALL, conversations=64, tags=("<tool_call>",))
    tokenizer = load_transformers(str(warm_up([Parrot()], tmp_path, few))).tokenizer
    assert len(tokenizer("<tool_call>", add_special_tokens=False)["input_ids"]) == 1
    assert len(tokenizer("<answer>", add_special_tokens=False)["input_ids"]) > 1


@pytest.mark.parametrize("tag", ["", " \n", "<|end|>"])
def test_a_tag_that_would_break_conversations_is_refused(tag: str) -> None:
    with pytest.raises(RrrError, match=r"--tags"):
        make_tokenizer(["some text"], 700, ("<answer>", tag))


class Crow(Parrot):
    """Teaches another answer, in words that the parrot does not know."""

    name = "crow"

    def warmup(self, split: str, count: int, seed: int) -> Iterator[list[dict[str, str]]]:
        for number in range(count):
            yield [{"role": "user", "content": f"Throw {number % 50}."}, {"role": "assistant", "content": "tails now"}]


BOTH = dataclasses.replace(SMALL, conversations=1024)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return warm_up([Parrot(), Crow()], tmp_path_factory.mktemp("both"), BOTH)


class TestSeveralTasks:
    def test_one_model_learns_what_both_teach(self, both: Path) -> None:
        engine = load_transformers(str(both))
        asked = [[{"role": "user", "content": f"{what} 3."}] for what in ("Toss", "Throw")]
        made = engine.generate(asked, Sampling(temperature=0, max_tokens=8))
        assert [one.text for one in made] == ["heads again", "tails now"]

    def test_its_tokenizer_has_the_words_of_both(self, both: Path) -> None:
        tokenizer = load_transformers(str(both)).tokenizer
        assert [len(tokenizer(word, add_special_tokens=False)["input_ids"]) for word in ("Toss", "Throw")] == [1, 1]

    def test_a_killed_one_resumes_and_ends_with_the_same_weights(self, both: Path, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            warm_up([Parrot(), Crow()], tmp_path, BOTH, progress=StopAfter(7))
        assert not (tmp_path / "model").exists()
        warm_up([Crow(), Parrot()], tmp_path, BOTH)
        assert weights(tmp_path) == weights(both.parent)

    def test_its_manifest_names_every_task_and_a_folder_of_other_tasks_or_weights_is_refused(self, both: Path) -> None:
        identity = json.loads((both.parent / "manifest.json").read_text())["identity"]
        assert {name: about["task"] for name, about in identity["task"].items()} == {"coin": "coin", "crow": "crow"}
        with pytest.raises(RrrError, match=r"was started with task\."):
            warm_up([Crow()], both.parent, BOTH)
        with pytest.raises(RrrError, match=r"was started with settings\.weights"):
            warm_up([Parrot(), Crow()], both.parent, dataclasses.replace(BOTH, weights="crow=2"))

    def test_one_tasks_manifest_is_as_it_was_before_there_could_be_several(self, warm: Path) -> None:
        identity = json.loads((warm.parent / "manifest.json").read_text())["identity"]
        assert identity["task"] == CoinTask().provenance()
        assert list(identity["settings"]) == [
            *("conversations", "batch_size", "learning_rate", "warmup_ratio", "weight_decay", "hidden_size", "layers"),
            *("heads", "context", "vocabulary", "tags", "save_every", "seed"),
        ]


def test_a_step_in_several_passes_learns_what_one_pass_does(tmp_path: Path) -> None:
    made = (
        warm_up([Parrot()], tmp_path / str(size), dataclasses.replace(SMALLEST, micro_batch_size=size))
        for size in (None, 4)
    )
    whole, parted = (load_file(each / "model.safetensors") for each in made)
    assert whole.keys() == parted.keys()
    for name, each in whole.items():
        torch.testing.assert_close(parted[name], each, atol=2e-4, rtol=0)


def test_passes_of_half_a_step_are_refused() -> None:
    with pytest.raises(RrrError, match="batch size 16 is not a multiple of micro-batch size 5"):
        dataclasses.replace(SMALL, micro_batch_size=5)


def test_in_bfloat16_the_weights_stay_float32(tmp_path: Path) -> None:
    dtypes = set()
    original = SFTTrainer.training_step

    def spy(self: Any, *arguments: Any, **keywords: Any) -> Any:
        layer = self.model.model.layers[0].mlp.down_proj
        hook = layer.register_forward_hook(lambda _, __, output: dtypes.add(output.dtype))
        try:
            return original(self, *arguments, **keywords)
        finally:
            hook.remove()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SFTTrainer, "training_step", spy)
        made = warm_up([Parrot()], tmp_path, dataclasses.replace(SMALLEST, precision="bfloat16"))
    assert dtypes == {torch.bfloat16}
    assert {each.dtype for each in load_file(made / "model.safetensors").values()} == {torch.float32}
