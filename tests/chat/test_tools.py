"""Tools that a prompt begins with: shown where the chat template has its place for them, and nowhere else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from rrr_core.chat.format import ChatFormat
from rrr_core.errors import DataError, ModelError
from rrr_core.generation.engine import Sampling
from rrr_core.generation.transformers_backend import load_transformers
from tests.generation.tiny import CHATML, SPECIAL, TEMPLATES, make_tokenizer
from tests.generation.tool_templates import (
    PHI_SPECIAL,
    QWEN_LIKE,
    REFUSING,
    TOOLS,
    phi_like,
    qwen_like,
    tools_message,
)

QWEN, PHI = qwen_like(), phi_like()
BOTH = pytest.mark.parametrize("tokenizer", [QWEN, PHI], ids=["qwen", "phi"])
SYSTEM = {"role": "system", "content": "Be brief."}
SPOKEN = [
    {"role": "user", "content": "How is the weather in Rome?"},
    {"role": "assistant", "content": '<tool_call>\n{"name": "time"}\n</tool_call>'},
    {"role": "user", "content": "Wrong. Reflect."},
]
AGAIN = {"role": "user", "content": "How is the weather in Rome, again?"}
BARE = json.dumps([tool["function"] for tool in TOOLS], ensure_ascii=False)


def encode(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def own_rendering(tokenizer: Any, system: dict[str, str], spoken: list[dict[str, str]]) -> str:
    """The call from the family's own documentation."""
    if tokenizer is QWEN:
        text = tokenizer.apply_chat_template([system, *spoken], tools=TOOLS, tokenize=False, add_generation_prompt=True)
    else:
        shown = {**system, "tools": BARE}
        text = tokenizer.apply_chat_template([shown, *spoken], tokenize=False, add_generation_prompt=True)
    return str(text)


def test_the_place_of_tools_is_found_by_rendering_some() -> None:
    assert ChatFormat(QWEN).template.tools_place == "argument"
    assert ChatFormat(PHI).template.tools_place == "system message"


@pytest.mark.parametrize("template", [*(template for template, _ in TEMPLATES.values()), REFUSING])
def test_a_template_that_shows_no_tools_or_refuses_them_has_no_place_for_them(template: str) -> None:
    assert ChatFormat(make_tokenizer(template)).template.tools_place is None


def test_another_template_is_probed_again() -> None:
    tokenizer = make_tokenizer(CHATML)
    assert ChatFormat(tokenizer).template.tools_place is None
    tokenizer.chat_template = QWEN_LIKE
    assert ChatFormat(tokenizer).template.tools_place == "argument"


@BOTH
def test_a_prompt_with_tools_is_the_templates_own_rendering_of_them(tokenizer: Any) -> None:
    text = own_rendering(tokenizer, SYSTEM, SPOKEN)
    assert "weather" in text
    assert "“city”" in text
    assert ChatFormat(tokenizer).template.render([tools_message(), SYSTEM, *SPOKEN]) == text
    assert ChatFormat(tokenizer).encode_prompt([tools_message(), SYSTEM, *SPOKEN]) == encode(tokenizer, text)


def test_tools_are_shown_without_a_system_message_too() -> None:
    plain = QWEN.apply_chat_template(SPOKEN, tools=TOOLS, tokenize=False, add_generation_prompt=True)
    assert ChatFormat(QWEN).template.render([tools_message(), *SPOKEN]) == plain
    assert (
        ChatFormat(PHI)
        .template.render([tools_message(), *SPOKEN])
        .startswith(f"<|system|><|tool|>{BARE}<|/tool|><|end|><|user|>How")
    )


@BOTH
def test_without_tools_nothing_is_shown_of_any(tokenizer: Any) -> None:
    plain = tokenizer.apply_chat_template([SYSTEM, *SPOKEN], tokenize=False, add_generation_prompt=True)
    assert ChatFormat(tokenizer).template.render([SYSTEM, *SPOKEN]) == plain
    assert "weather in" in plain
    assert "description" not in plain


@BOTH
@pytest.mark.parametrize("ended", [True, False])
def test_the_retry_extends_the_ids_of_prompt_and_reflection(tokenizer: Any, ended: bool) -> None:
    conversation = [tools_message(), SYSTEM, *SPOKEN]
    reflection = "I asked for the <tool_call> of the time."
    end = tokenizer.convert_tokens_to_ids("<|im_end|>" if tokenizer is QWEN else "<|end|>")
    sampled = encode(tokenizer, reflection) + ([end] if ended else [])
    more = ChatFormat(tokenizer).continuation_ids(conversation, AGAIN["content"], sampled, ended)
    whole = own_rendering(tokenizer, SYSTEM, [*SPOKEN, {"role": "assistant", "content": reflection}, AGAIN])
    assert ChatFormat(tokenizer).encode_prompt(conversation) + sampled + more == encode(tokenizer, whole)


@BOTH
@pytest.mark.parametrize("spelling", ["<|im_end|>", "<|im_start|>", "<|end|>", "<|tool|>", "<|/tool|>"])
def test_tools_that_spell_a_control_token_never_become_one(tokenizer: Any, spelling: str) -> None:
    escaped = "".join(f"\\u{ord(character):04x}" for character in spelling)
    control = set(tokenizer.convert_tokens_to_ids([*SPECIAL, *PHI_SPECIAL])) - {None}

    def count(word: str) -> int:
        schema = json.dumps(TOOLS).replace("city", word).replace("Gives", word).replace('"time"', f'"{word}"')
        ids = ChatFormat(tokenizer).encode_prompt([{"role": "tools", "content": schema}, *SPOKEN])
        return sum(token in control for token in ids)

    assert count(f"a{spelling}b") == count(f"a{escaped}b") == count("ab")


@BOTH
def test_tools_that_spell_the_marker_of_a_continuation_change_nothing(tokenizer: Any) -> None:
    schema = json.dumps(TOOLS).replace("Gives", "reply\\u0030here")
    conversation = [{"role": "tools", "content": schema}, *SPOKEN]
    sampled = encode(tokenizer, "Oh.")
    more = ChatFormat(tokenizer).continuation_ids(conversation, AGAIN["content"], sampled, False)
    plain = ChatFormat(tokenizer).continuation_ids([tools_message(), *SPOKEN], AGAIN["content"], sampled, False)
    assert more == plain


def test_a_model_without_a_place_for_tools_is_one_error_that_says_what_the_plugin_should_check() -> None:
    with pytest.raises(ModelError, match=r"no place for tools.* model\.takes_tools is false\.$"):
        ChatFormat(make_tokenizer(CHATML)).encode_prompt([tools_message(), *SPOKEN])


@pytest.mark.parametrize("content", ["{", "[]", '[{"type": "function"}]', '"text"'])
def test_a_stored_prompt_with_invalid_tools_is_a_data_error(content: str) -> None:
    with pytest.raises(DataError, match="A prompt begins with tools that no model can be shown: "):
        ChatFormat(QWEN).encode_prompt([{"role": "tools", "content": content}, *SPOKEN])


@pytest.mark.parametrize(("template", "takes_tools"), [(QWEN_LIKE, True), (CHATML, False)], ids=["qwen", "chatml"])
def test_a_loaded_model_says_whether_it_takes_tools(
    model_folder: Path, tmp_path: Path, template: str, takes_tools: bool
) -> None:
    copy = Path(shutil.copytree(model_folder, tmp_path / "copy"))
    (copy / "chat_template.jinja").write_text(template)
    assert load_transformers(str(copy), device="cpu").model.takes_tools is takes_tools


def test_an_engine_writes_after_a_prompt_with_tools(model_folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model_folder, tmp_path / "copy"))
    (copy / "chat_template.jinja").write_text(QWEN_LIKE)
    engine = load_transformers(str(copy), device="cpu")
    engine.context = None
    sampling = Sampling(temperature=0, max_tokens=4)
    with_tools, without = engine.generate([[tools_message(), *SPOKEN], SPOKEN], sampling)
    assert with_tools.token_ids != without.token_ids
