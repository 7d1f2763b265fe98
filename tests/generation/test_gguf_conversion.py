"""A GGUF file as a model: converted once to safetensors, with everything that transformers would leave behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("gguf")
pytestmark = pytest.mark.train

from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings, make_engine
from rrr_core.generation.engine import Sampling
from rrr_core.generation.gguf_models import with_gguf_converted
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.runs.digests import digest_of
from tests.generation.gguf_files import write_model
from tests.generation.tiny import make_network, make_tokenizer

IDS = [[5, 30, 200, 31, 7, 90, 91]]
LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


@pytest.fixture
def file(tmp_path: Path, network: Any, tokenizer: Any) -> Path:
    return write_model(tmp_path / "Tiny.gguf", network, tokenizer)


def convert(path: Path, into: Path, said: list[str] | None = None, **settings: Any) -> Path:
    chosen = with_gguf_converted(
        ModelSettings(model=str(path), **settings), into, (said if said is not None else []).append
    )
    return Path(chosen.named)


def refused(path: Path, into: Path, **settings: Any) -> str:
    with pytest.raises(ModelError) as caught:
        convert(path, into, **settings)
    (line,) = str(caught.value).splitlines()
    return line


def logits(network: Any) -> Any:
    with torch.no_grad():
        return network(torch.tensor(IDS)).logits


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": True},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0}},
        {"rope_parameters": LLAMA_3, "hidden_size": 128},
    ],
    ids=["plain", "tied head", "other base", "Llama 3.1's positions"],
)
def test_the_converted_model_computes_what_the_source_does(tmp_path: Path, tokenizer: Any, changes: Any) -> None:
    source = make_network(tokenizer, **changes)
    folder = convert(write_model(tmp_path / "a.gguf", source, tokenizer), tmp_path / "converted")
    network = load_transformers(str(folder), device="cpu").network
    assert not getattr(network, "is_quantized", False)
    assert network.config.tie_word_embeddings == changes.get("tie_word_embeddings", False)
    # The reading of a scale from float32 factors costs the last bits.
    assert torch.allclose(logits(network), logits(source), rtol=0, atol=1e-5 if "hidden_size" in changes else 0)


def test_linear_scaling_of_positions_is_kept(tmp_path: Path, tokenizer: Any) -> None:
    scaled = {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0}
    source = make_network(tokenizer, rope_parameters=scaled)
    keys = {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}
    folder = convert(write_model(tmp_path / "a.gguf", source, tokenizer, **keys), tmp_path / "converted")
    assert torch.equal(logits(load_transformers(str(folder), device="cpu").network), logits(source))


def test_another_scaling_is_refused_since_the_weights_would_compute_something_else(
    tmp_path: Path, network: Any, tokenizer: Any
) -> None:
    path = write_model(tmp_path / "a.gguf", network, tokenizer, **{"llama.rope.scaling.type": "yarn"})
    assert "scales its positions (yarn)" in refused(path, tmp_path / "converted")


@pytest.mark.parametrize(
    ("dtype", "stored"), [("bfloat16", "bfloat16"), ("float16", "float16"), ("float32", "float32")]
)
def test_weights_are_stored_in_the_smallest_type_that_holds_them_exactly(
    tmp_path: Path, network: Any, tokenizer: Any, dtype: str, stored: str
) -> None:
    for weight in network.parameters():
        weight.data = weight.data.to(getattr(torch, dtype)).float()
    folder = convert(write_model(tmp_path / "a.gguf", network, tokenizer), tmp_path / "converted")
    assert load_transformers(str(folder), device="cpu").describe()["dtype"] == stored
    assert torch.equal(logits(load_transformers(str(folder), dtype="float32", device="cpu").network), logits(network))


def test_the_tokenizer_the_template_and_the_end_tokens_are_the_sources(tmp_path: Path, network: Any) -> None:
    from tokenizers import pre_tokenizers

    source = make_tokenizer()
    source.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    end = source.get_vocab()["<|eot_id|>"]
    keys = {"tokenizer.ggml.eot_token_id": end, "tokenizer.chat_template.tool_use": "{{ tools }}"}
    folder = convert(write_model(tmp_path / "a.gguf", network, source, **keys), tmp_path / "converted")
    engine = load_transformers(str(folder), device="cpu")
    for text in ("use  12 345", "the\n\n12", "a <think>3</think> 4\t5 é", "<|im_start|>user\n12<|im_end|>\n"):
        assert engine.tokenizer(text)["input_ids"] == source(text)["input_ids"]
    assert engine.tokenizer.chat_template == {"default": source.chat_template, "tool_use": "{{ tools }}"}
    assert engine.end_ids == (source.eos_token_id, end)
    assert engine.tokenizer.pad_token_id == source.pad_token_id


@pytest.mark.parametrize("pre", ["a new one", None])
def test_a_way_of_splitting_that_is_not_known_is_said_each_time(
    tmp_path: Path, network: Any, tokenizer: Any, pre: str | None
) -> None:
    path = write_model(tmp_path / "a.gguf", network, tokenizer, pre=pre)
    for _ in range(2):
        said: list[str] = []
        convert(path, tmp_path / "converted", said)
        assert "it is split as GPT-2 does" in said[-1]


def test_it_is_converted_once_and_a_run_records_the_files_digest(file: Path, tmp_path: Path) -> None:
    said: list[str] = []
    folder = convert(file, tmp_path / "converted", said)
    assert convert(file, tmp_path / "converted", said) == folder
    assert len(said) == 1
    assert f"Converting {file} to safetensors, once" in said[0]
    engine = make_engine(ModelSettings(model=str(folder), device="cpu"))
    assert engine.describe()["gguf_sha256"] == digest_of(file)
    assert json.loads((folder / "converted.json").read_text())["gguf"] == "Tiny.gguf"


def test_a_changed_file_of_the_same_name_is_another_model(file: Path, tmp_path: Path, tokenizer: Any) -> None:
    first = convert(file, tmp_path / "converted")
    write_model(file, make_network(tokenizer, num_hidden_layers=1), tokenizer)
    second = convert(file, tmp_path / "converted")
    assert first != second
    assert first.is_dir()


def test_it_can_be_trained_and_saved(file: Path, tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    folder = convert(file, tmp_path / "converted")
    network = load_transformers(str(folder), dtype="float32", device="cpu").network
    rows = [{"input_ids": IDS[0], "labels": IDS[0]}] * 2
    arguments = TrainingArguments(str(tmp_path / "out"), max_steps=1, report_to=[], use_cpu=True, disable_tqdm=True)
    trainer = Trainer(network, arguments, train_dataset=rows)
    trainer.train()
    trainer.save_model(str(tmp_path / "trained"))
    assert (tmp_path / "trained" / "model.safetensors").is_file()


SCRIPT = """
import os, signal, sys
from pathlib import Path
from rrr_core.generation import ModelSettings, gguf_conversion
from rrr_core.generation.gguf_models import with_gguf_converted
if sys.argv[3:]:
    gguf_conversion._sync = lambda path: os.kill(os.getpid(), signal.SIGKILL)
print(with_gguf_converted(ModelSettings(model=sys.argv[1]), Path(sys.argv[2]), print).model)
"""


def start(path: Path, into: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(path), str(into), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_a_killed_conversion_leaves_nothing_half_and_of_two_processes_one_converts(file: Path, tmp_path: Path) -> None:
    into = tmp_path / "converted"
    killed = start(file, into, "kill")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    (leftover,) = (each for each in into.iterdir() if each.is_dir())
    assert (leftover / "model.safetensors").is_file()  # It had written everything, and was not whole.
    both = [start(file, into), start(file, into)]
    lines = [process.communicate()[0].splitlines() for process in both]
    assert sum(line.startswith("Converting") for each in lines for line in each) == 1
    assert lines[0][-1] == lines[1][-1]
    assert [each for each in into.iterdir() if each.is_dir()] == [Path(lines[0][-1])]
    settings = ModelSettings(model=lines[0][-1], device="cpu")
    assert make_engine(settings).generate([[{"role": "user", "content": "Use 3"}]], Sampling(max_tokens=2))


def test_who_finds_another_process_converting_says_that_it_waits(file: Path, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    target, said = convert(file, tmp_path / "converted"), []
    shutil.rmtree(target)
    lock = (target.parent / f".{target.name}.lock").open()
    fcntl.flock(lock, fcntl.LOCK_EX)

    def say(line: str) -> None:
        said.append(line)
        lock.close()

    with_gguf_converted(ModelSettings(model=str(file)), target.parent, say)
    assert said[0] == f"Another process converts {file}: waiting for it."
    assert target.is_dir()


def test_files_beside_it_are_no_part_of_it(file: Path, tmp_path: Path, model_folder: Path) -> None:
    shutil.copy(model_folder / "config.json", file.parent / "config.json")
    (file.parent / "tokenizer.json").write_text("{}")
    assert (convert(file, tmp_path / "converted") / "tokenizer.json").stat().st_size > 100


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"llama.block_count": 1 << 31}, "claims 2147483648 layers"),
        ({"llama.block_count": 3}, "of which a model of"),
        ({"llama.feed_forward_length": 1 << 30}, "of which a model of"),
        ({"llama.attention.head_count": 0}, "cannot be converted"),
        ({"llama.attention.head_count_kv": 3}, "cannot be converted"),
        ({"tokenizer.ggml.model": "a new one"}, "Cannot build a tokenizer"),
    ],
)
def test_an_impossible_model_is_refused_with_what_can_be_done(
    tmp_path: Path, network: Any, tokenizer: Any, changes: dict[str, Any], why: str
) -> None:
    line = refused(write_model(tmp_path / "a.gguf", network, tokenizer, **changes), tmp_path / "converted")
    assert why in line
    assert "(architecture 'llama')" in line
    assert "Instead, name the model's own safetensors" in line
    assert "--base-url" in line
    assert not any(each.is_dir() for each in (tmp_path / "converted").glob("*"))


def test_an_architecture_that_transformers_does_not_read_is_refused_alike(
    tmp_path: Path, network: Any, tokenizer: Any
) -> None:
    path = write_model(tmp_path / "a.gguf", network, tokenizer)
    path.write_bytes(path.read_bytes().replace(b"llama", b"rwkv9"))
    assert "(architecture 'rwkv9') cannot be converted by transformers" in refused(path, tmp_path / "converted")


def test_one_part_of_several_is_refused(tmp_path: Path, network: Any, tokenizer: Any) -> None:
    path = write_model(tmp_path / "a.gguf", network, tokenizer, **{"split.count": 3})
    assert "is one of 3 parts: join them" in refused(path, tmp_path / "converted")


def test_a_revision_is_refused(file: Path, tmp_path: Path) -> None:
    assert "leave the revision out" in refused(file, tmp_path / "converted", revision="main")


@pytest.mark.parametrize("settings", [{"backend": "server"}, {"base_url": ("http://127.0.0.1:9/v1",)}])
def test_a_server_keeps_its_models_name(file: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    assert convert(file, tmp_path / "converted", **settings) == file
    assert not (tmp_path / "converted").exists()


def test_a_folder_of_such_files_and_a_file_named_elsewhere_say_what_to_name(file: Path) -> None:
    with pytest.raises(ModelError, match=r"It holds GGUF files: name one of them, such as .*Tiny\.gguf"):
        load_transformers(str(file.parent))
    with pytest.raises(ModelError, match="is converted by the commands that take it as --model"):
        load_transformers(str(file))


def test_a_damaged_record_says_what_to_delete(file: Path, tmp_path: Path) -> None:
    from rrr_core.errors import DataError

    folder = convert(file, tmp_path / "converted")
    (folder / "converted.json").write_text("[]")
    with pytest.raises(DataError, match="delete the folder"):
        convert(file, tmp_path / "converted")
