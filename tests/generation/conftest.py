"""The tiny model of these tests, and a hub that is never reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.generation.tiny import make_network, make_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return make_tokenizer()


@pytest.fixture
def network(tokenizer: Any) -> Any:
    """Stops at thirty ids besides its end token, so that texts have uneven lengths."""
    network = make_network(tokenizer)
    network.generation_config.eos_token_id = [tokenizer.eos_token_id, *range(100, 130)]
    return network


@pytest.fixture
def engine(network: Any, tokenizer: Any) -> Any:
    from rrr_core.generation.transformers_engine import TransformersEngine
    from rrr_core.hookspecs import Model

    return TransformersEngine(network, tokenizer, Model("tiny"))


@pytest.fixture
def prompts(tokenizer: Any) -> list[list[int]]:
    """Forty prompts of 3 to 42 tokens, some equal."""
    return [[(7 * row + 3 * place) % 230 + 20 for place in range(3 + row % 20 * 2)] for row in range(40)]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = make_tokenizer()
    make_network(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """A hub that refuses connections at once, wherever the tests run, and an empty cache."""
    cache = request.getfixturevalue("tmp_path") / "hub"
    try:
        import huggingface_hub.constants as constants
    except ModuleNotFoundError:
        yield
        return
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    yield
