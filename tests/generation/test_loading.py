"""Loading by name: what is refused, at once and in one line, and how a loaded model is described."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from safetensors.torch import load_file, save_file

from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings, hub, make_engine
from rrr_core.generation.engine import Sampling
from rrr_core.generation.transformers_backend import load_transformers
from tests.generation.tiny import make_tokenizer

GREEDY = Sampling(temperature=0, max_tokens=8)
QUESTION = [[{"role": "user", "content": "Use 3 4 5"}]]


@pytest.fixture
def copy(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "copy"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def refused(name: object, **arguments: Any) -> str:
    with pytest.raises(ModelError) as caught:
        load_transformers(str(name), **arguments)
    (line,) = str(caught.value).splitlines()
    return line


def test_a_folder_loads_and_writes(model_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engine = make_engine(ModelSettings(model=str(model_folder), device="cpu"))
    assert len(engine.generate(QUESTION, GREEDY)) == 1
    assert engine.model.name == str(model_folder)
    assert capfd.readouterr() == ("", "")


def test_the_description_distinguishes_weights_tokenizers_and_versions(copy: Path) -> None:
    first = load_transformers(str(copy), device="cpu").describe()
    assert first == {
        "backend": "transformers",
        "name": str(copy),
        "family": "generic",
        "revision": None,
        "weights_sha256": first["weights_sha256"],
        "tokenizer": first["tokenizer"],
        "tokenizer_sha256": first["tokenizer_sha256"],
        "dtype": "float32",
        "device": "cpu",
        "transformers": first["transformers"],
        "torch": torch.__version__,
    }
    assert json.loads(json.dumps(first)) == first
    assert load_transformers(str(copy), device="cpu").describe() == first
    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"] += 1
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    (copy / "chat_template.jinja").write_text((copy / "chat_template.jinja").read_text() + " ")
    second = load_transformers(str(copy), device="cpu").describe()
    assert second["weights_sha256"] != first["weights_sha256"]
    assert second["tokenizer_sha256"] != first["tokenizer_sha256"]


def test_generating_changes_no_description(model_folder: Path) -> None:
    engine = load_transformers(str(model_folder), device="cpu")
    before = engine.describe()
    engine.generate(QUESTION * 3, GREEDY)
    assert engine.describe() == before


def test_the_family_is_declared_or_inferred_from_the_name_and_stays_with_a_saved_copy(
    model_folder: Path, tmp_path: Path
) -> None:
    named = Path(shutil.copytree(model_folder, tmp_path / "Llama-tiny"))
    engine = load_transformers(str(named), device="cpu")
    assert engine.model.family == "llama"
    engine.network.save_pretrained(tmp_path / "model")
    engine.tokenizer.save_pretrained(tmp_path / "model")
    assert load_transformers(str(tmp_path / "model"), device="cpu").model.family == "llama"
    assert load_transformers(str(tmp_path / "model"), device="cpu", family="own").model.family == "own"


def test_the_requested_dtype_is_used(model_folder: Path) -> None:
    assert load_transformers(str(model_folder), dtype="bfloat16", device="cpu").describe()["dtype"] == "bfloat16"


def test_an_adapter_goes_on_a_model_by_option_or_by_its_own_folder(model_folder: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    base = load_transformers(str(model_folder), device="cpu")
    plain = base.generate(QUESTION, GREEDY)
    adapted = peft.get_peft_model(base.network, peft.LoraConfig(r=4, init_lora_weights=False, task_type="CAUSAL_LM"))
    adapted.save_pretrained(tmp_path / "adapter")
    change(tmp_path / "adapter" / "adapter_config.json", base_model_name_or_path=str(model_folder))
    by_option = load_transformers(str(model_folder), adapter=str(tmp_path / "adapter"), device="cpu")
    by_folder = load_transformers(str(tmp_path / "adapter"), device="cpu")
    texts = [engine.generate(QUESTION, GREEDY) for engine in (by_option, by_folder)]
    assert texts[0] == texts[1] != plain
    assert by_option.describe()["adapter"]["weights_sha256"] == by_folder.describe()["adapter"]["weights_sha256"]
    assert by_folder.describe()["base"] == str(model_folder)


def test_a_folder_without_a_tokenizer_is_said_to_be_that(copy: Path) -> None:
    for path in copy.glob("*token*"):
        path.unlink()
    assert refused(copy) == (
        f"The folder of the model {str(copy)!r} holds no tokenizer: copy tokenizer.json and tokenizer_config.json into"
        " it from the model that it was made of."
    )


def test_an_adapter_made_for_another_model_is_refused(model_folder: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    network = load_transformers(str(model_folder), device="cpu").network
    folder = tmp_path / "adapter"
    peft.get_peft_model(network, peft.LoraConfig(r=4, task_type="CAUSAL_LM")).save_pretrained(folder)
    weights = load_file(folder / "adapter_model.safetensors")
    renamed = {name.replace(".layers.", ".blocks."): value for name, value in weights.items()}
    save_file(renamed, folder / "adapter_model.safetensors")
    assert "does not go on" in refused(model_folder, adapter=str(folder))
    (folder / "adapter_model.safetensors").unlink()
    assert "has no adapter_model.safetensors" in refused(model_folder, adapter=str(folder))
    change(folder / "adapter_config.json", base_model_name_or_path=None)
    assert "names no base model" in refused(folder)


def test_a_missing_folder_is_reported_without_asking_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "HfApi", None)
    for name in ("./nowhere", "/no/where", "~/nowhere", "runs/7/model"):
        assert refused(name) == f"There is no model folder '{name}'."


def test_a_folder_without_a_model_is_reported(tmp_path: Path) -> None:
    assert "holds no model: it has no config.json" in refused(tmp_path)
    (tmp_path / "file").touch()
    assert "is a file" in refused(tmp_path / "file")


def test_an_unreachable_hub_is_reported_at_once() -> None:
    started = time.monotonic()
    line = refused("someone/some-model", revision="v1")
    assert time.monotonic() - started < 5
    assert "'someone/some-model' at revision 'v1'" in line
    assert "hub cannot be reached" in line


def test_an_impossible_hub_name_is_reported() -> None:
    assert "neither a folder nor a hub name" in refused("what model?")


def test_a_cached_model_is_loaded_where_the_hub_is_unreachable(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789012345678901234567890123456789"
    cached = tmp_path / "hub" / "models--someone--some-model"
    shutil.copytree(model_folder, cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    source = hub.locate("someone/some-model")
    assert source == hub.Source("someone/some-model", commit=commit, cached=True)
    assert source.arguments == {"revision": commit, "local_files_only": True}
    assert load_transformers("someone/some-model", device="cpu").describe()["revision"] == commit


def test_a_revision_of_a_folder_is_refused(model_folder: Path) -> None:
    assert "leave the revision out" in refused(model_folder, revision="main")


def test_broken_models_are_refused_in_one_line(copy: Path) -> None:
    cases = {
        "config.json": ("{", "cannot be loaded"),
        "tokenizer.json": ("{}", "cannot be loaded"),
        "model.safetensors": ("junk", "cannot be loaded"),
    }
    for file, (content, message) in cases.items():
        whole = (copy / file).read_bytes()
        (copy / file).write_text(content)
        assert message in refused(copy), file
        (copy / file).write_bytes(whole)


def test_pickled_weights_are_not_read(copy: Path) -> None:
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    assert "cannot be loaded" in refused(copy)


def test_code_from_a_models_repository_is_not_run(copy: Path) -> None:
    (copy / "own.py").write_text(f"open({str(copy / 'ran')!r}, 'w')\n")
    change(copy / "config.json", model_type="own", auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"})
    refused(copy)
    assert not (copy / "ran").exists()


def test_missing_weights_are_refused_and_not_initialised(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert "lack 1 of the model's weights, such as model.layers.1.mlp.up_proj.weight" in refused(copy)


def test_a_model_without_chat_template_is_refused(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    assert "no chat template: use an instruct model, or warm it up" in refused(copy)


def test_a_tokenizer_larger_than_the_model_is_refused(copy: Path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_tokens([f"more{number}" for number in range(5)])
    tokenizer.save_pretrained(copy)
    assert "embeddings" in refused(copy)


def test_unknown_dtypes_and_devices_are_refused(model_folder: Path) -> None:
    assert "choose one of auto, float32" in refused(model_folder, dtype="float31")
    assert "There is no device 'gpu'" in refused(model_folder, device="gpu")
    if torch.accelerator.current_accelerator(check_available=True) is None:
        assert "has no device 'cuda'; it has the CPU alone" in refused(model_folder, device="cuda")


def test_silencing_is_undone() -> None:
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled(), are_progress_bars_disabled()
    with hub.silenced():
        assert not logging.is_progress_bar_enabled()
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled(), are_progress_bars_disabled()) == before
