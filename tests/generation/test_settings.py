"""Choosing an engine, and how little that imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings, make_engine
from rrr_core.generation.families import family_of
from rrr_core.text import one_line


def test_the_settings_import_no_engine() -> None:
    heavy = ("torch", "transformers", "httpx2", "huggingface_hub")
    code = f"import sys, rrr_core.generation; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ModelSettings(), "give --model"),
        (ModelSettings(model="m", backend="server"), "give --base-url"),
        (ModelSettings(model="m", backend="transformers", base_url="http://h/v1"), "--backend server"),
        (
            ModelSettings(model="m", base_url="http://h/v1", adapter="a"),
            "adapter cannot be set for the server .*--backend vllm",
        ),
        (ModelSettings(model="m", base_url="http://h/v1", revision="r"), "revision cannot be set"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: ModelSettings, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make_engine(settings)


@pytest.mark.parametrize(
    ("module", "extra", "engine"), [("httpx2", "server", "server"), ("torch", "train", "transformers")]
)
def test_an_engine_that_is_not_installed_names_what_it_needs_and_its_extra(
    module: str, extra: str, engine: str
) -> None:
    address = "http://127.0.0.1:9/v1" if extra == "server" else None
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from rrr_core.generation import ModelSettings, make_engine\n"
        "from rrr_core.errors import ModelError\n"
        f"try: make_engine(ModelSettings(model='m', base_url={address!r}))\n"
        "except ModelError as error: print(error)"
    )
    line = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert line == f"The {engine} backend needs the package '{module}': pip install 'rrr-core[{extra}]'.\n"


@pytest.mark.parametrize(
    ("name", "model_type", "declared", "family"),
    [
        ("Qwen/Qwen2.5-1.5B-Instruct", "qwen2", None, "qwen"),
        ("meta-llama/Llama-3.2-1B-Instruct", "llama", None, "llama"),
        ("TinyLlama-1.1B", "llama", None, "llama"),
        ("microsoft/Phi-3.5-mini-instruct", "phi3", None, "phi"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "qwen2", None, "qwen"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "llama", None, "smollm"),
        ("runs/7/model", "qwen3", None, "qwen"),
        ("runs/7/model/", "mixtral", None, "mistral"),
        ("/home/llama/own", "llama", None, "generic"),
        ("dolphin-2.9", "llama", None, "generic"),
        ("Qwen/Qwen2.5-1.5B", "qwen2", "mine", "mine"),
        ("Qwen/Qwen2.5-1.5B", "qwen2", 7, "qwen"),
    ],
)
def test_a_family_is_declared_or_inferred_from_name_or_type(
    name: str, model_type: str, declared: object, family: str
) -> None:
    assert family_of(name, model_type, declared) == family


def test_foreign_text_becomes_one_short_printable_line() -> None:
    assert one_line("a\r\n\tb\x1b[31m\u202ec" + "x" * 500, 20) == "a b�[31m�cxxxxxxxxx…"
