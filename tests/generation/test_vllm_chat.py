"""The same greedy text from every backend, against a real vLLM server whose model brings sampling defaults.

Run with `tox -e vllm`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("httpx2")
pytest.importorskip("vllm", reason="vLLM is not installed")

from rrr_core.generation import Engine, ModelSettings, Sampling, make_engine
from tests.generation.tiny import make_network, make_tokenizer
from tests.generation.vllm_serving import vllm_serving

pytestmark = [pytest.mark.train, pytest.mark.vllm]

GREEDY = Sampling(temperature=0, max_tokens=16)
SAMPLED = Sampling(temperature=0.9, max_tokens=12, seed=5)
DEFAULTS = {"temperature": 0.3, "top_k": 3, "top_p": 0.5, "min_p": 0.2, "repetition_penalty": 1.5, "max_new_tokens": 5}
QUESTIONS = [[{"role": "user", "content": f"use {number} 4 5 and reach {12 + number}"}] for number in range(40)]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes ASCII, mostly; its `generation_config.json` would change every text."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = make_tokenizer()
    network = make_network(tokenizer, hidden_size=64, num_attention_heads=2, num_key_value_heads=1)
    with torch.no_grad():
        for token, row in enumerate(network.lm_head.weight):
            row *= 4 if tokenizer.decode([token]).isprintable() and tokenizer.decode([token]).isascii() else 0
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = folder / "generation_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "do_sample": True, **DEFAULTS}))
    return folder


@pytest.fixture(scope="module")
def address(model_folder: Path) -> Iterator[str]:
    with vllm_serving(model_folder) as address:
        yield address


def opened(model_folder: Path, backend: str, *addresses: str) -> Engine:
    """Without thought marks: this vLLM parses no reasoning, and so a server's texts are split only where asked."""
    given = {"model": str(model_folder), "backend": backend, "base_url": addresses, "timeout": 60}
    return make_engine(ModelSettings(**given, thought_marks="none"))


def whole(texts: list[str]) -> list[int]:
    """The places of texts of whole characters: a random model also writes halves, which vLLM's decoder leaves out."""
    places = [place for place, text in enumerate(texts) if "\N{REPLACEMENT CHARACTER}" not in text]
    assert len({texts[place] for place in places}) > 5
    return places


def test_the_same_request_gives_the_same_greedy_text_in_every_backend(model_folder: Path, address: str) -> None:
    expected = opened(model_folder, "transformers").generate(QUESTIONS, GREEDY)
    places = whole([made.text for made in expected])
    for backend, addresses in (("vllm", ()), ("vllm", (address,)), ("server", (address,))):
        made = opened(model_folder, backend, *addresses).generate(QUESTIONS, GREEDY)
        assert [made[place].text for place in places] == [expected[place].text for place in places], backend
        assert [(each.length, each.finish) for each in made] == [(each.length, each.finish) for each in expected]


def test_what_is_not_sent_the_models_own_defaults_decide(model_folder: Path, address: str) -> None:
    """So a request of the temperature alone gives other greedy texts."""
    import httpx2

    expected = [made.text for made in opened(model_folder, "transformers").generate(QUESTIONS, GREEDY)]
    asked = {"model": str(model_folder), "temperature": 0, "max_tokens": GREEDY.max_tokens}
    bare = [
        httpx2.post(f"{address}/chat/completions", json={**asked, "messages": messages}, timeout=60).json()
        for messages in QUESTIONS
    ]
    texts = [reply["choices"][0]["message"]["content"] for reply in bare]
    assert sum(texts[place] != expected[place] for place in whole(expected)) > 3


def test_vllm_takes_the_whole_sampling_so_that_nothing_is_its_models_choice(model_folder: Path, address: str) -> None:
    served = opened(model_folder, "server", address)
    made = served.generate(QUESTIONS, SAMPLED)
    expected = opened(model_folder, "vllm", address).generate(QUESTIONS, SAMPLED)
    for place in whole([each.text for each in expected]):
        assert made[place].text == expected[place].text
    assert served.notice is None
    assert served.findings == {}


def test_a_prompt_that_does_not_fit_has_no_answer_and_the_others_have_theirs(model_folder: Path, address: str) -> None:
    served = opened(model_folder, "server", address)
    long = [{"role": "user", "content": "3 4 5 " * 2000}]
    made = served.generate([long, *QUESTIONS], GREEDY)
    assert made[0].missing == "request refused"
    assert not any(each.missing for each in made[1:])
