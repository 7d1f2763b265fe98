"""What each chat template that TRL ships does to an episode: one row a template, held against what the core finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from rrr_core.chat.tools import ToolsPlace

Thinking = Literal["none", "free", "opened", "closed"]
"""`none`: no marks are known; `free`: the model may open a thought; `opened`: the prompt opens one; `closed`: the
prompt holds an empty one."""


@dataclass(frozen=True)
class Row:
    """One template, without settings."""

    after: str
    """What follows an answer, up to where the assistant writes again. NEXT is the user's next message."""
    ends: tuple[str, ...] = ("<|im_end|>",)
    """Tokens that end a text, the turn's own last."""
    thinking: Thinking = "none"
    reply: str = "ANSWER"
    """What the model writes after the prompt: THOUGHT and ANSWER in the marks or channels of its kind."""
    keeps_thoughts: bool = True
    """Whether an earlier reply's thought is shown when the conversation goes on."""
    form: str | None = None
    """The field that the template reads a thought from."""
    shares_prompt: bool = True
    """Whether the conversation that goes on begins with the prompt before."""
    extends: tuple[bool, bool] = (True, True)
    """Whether it goes on from the ids of a reply without a thought, and with one."""
    tools: ToolsPlace | None = "argument"
    takes_parts: bool = False
    takes_system: bool = True
    writes_date: bool = False


def _chatml(opening: str = "") -> str:
    return f"<|im_end|>\n<|im_start|>user\nNEXT<|im_end|>\n<|im_start|>assistant\n{opening}"


_OPENED = _chatml("<think>\n")
_REASONING = "reasoning_content"
_DROPPED = (True, False)
_NEVER = (False, False)

_CHATML = Row(_chatml())
_COHERE = Row(
    "<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>NEXT<|END_OF_TURN_TOKEN|>"
    "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    ("<|END_OF_TURN_TOKEN|>",),
    tools=None,
)
_DEEPSEEK = Row(
    "<｜end▁of▁sentence｜><｜User｜>NEXT<｜Assistant｜><think>\n",
    ("<｜end▁of▁sentence｜>",),
    "opened",
    "THOUGHT\n</think>\n\nANSWER",
    keeps_thoughts=False,
    shares_prompt=False,
    extends=_NEVER,
    tools=None,
)
_GEMMA = Row(
    "<end_of_turn>\n<start_of_turn>user\nNEXT<end_of_turn>\n<start_of_turn>model\n",
    ("<eos>", "<end_of_turn>"),
    tools=None,
)
_GEMMA_4 = Row(
    "<turn|>\n<|turn>user\nNEXT<turn|>\n<|turn>model\n",
    ("<eos>", "<turn|>"),
    "free",
    "<|channel>thought\nTHOUGHT\n<channel|>ANSWER",
    keeps_thoughts=False,
    extends=_DROPPED,
)
_SHOWING_GEMMA = replace(_GEMMA_4, form=_REASONING)  # a last reply's thought
_IN_CONTENT = replace(_CHATML, thinking="free", reply="<think>\nTHOUGHT\n</think>\n\nANSWER")
_LFM_2_5 = Row(
    _chatml(),
    thinking="free",
    reply="<think>THOUGHT</think>ANSWER",
    keeps_thoughts=False,
    form=_REASONING,
    extends=_DROPPED,
)
_LLAMA = Row(
    "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nNEXT<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ("<|eot_id|>",),
)
_NEMOTRON = Row(
    _OPENED,
    thinking="opened",
    reply="THOUGHT\n</think>\nANSWER",
    keeps_thoughts=False,
    form=_REASONING,
    shares_prompt=False,
    extends=_NEVER,
)
_TERSE_NEMOTRON = replace(_NEMOTRON, reply="THOUGHT</think>ANSWER")
_PHI = Row("<|end|>\n<|user|>\nNEXT<|end|>\n<|assistant|>\n", ("<|end|>",), tools=None)
_QWEN_3 = replace(_IN_CONTENT, keeps_thoughts=False, form=_REASONING, extends=_DROPPED)
_QWEN_3_5 = replace(
    _QWEN_3,
    after=_OPENED,
    thinking="opened",
    reply="THOUGHT\n</think>\n\nANSWER",
    shares_prompt=False,
    extends=_NEVER,
)
_VISION = Row(
    "<end_of_utterance>\nUser: NEXT<end_of_utterance>\nAssistant:",
    ("<end_of_utterance>",),
    reply=" ANSWER",
    tools=None,
    takes_parts=True,
)

TABLE: Mapping[str, Row] = {
    "cohere": _COHERE,
    "cohere2": replace(
        _COHERE,
        after=f"<|END_RESPONSE|>{_COHERE.after}<|START_RESPONSE|>",
        ends=("<|END_OF_TURN_TOKEN|>", "<|END_RESPONSE|>"),
    ),
    "deepseek_r1_distill": _DEEPSEEK,
    "deepseekv3": _DEEPSEEK,
    "diffusion_gemma": _SHOWING_GEMMA,
    "gemma": replace(_GEMMA, takes_system=False),
    "gemma3": _GEMMA,
    "gemma4": _GEMMA_4,
    "gemma4_v2": _GEMMA_4,
    "gemma4_v3": _GEMMA_4,
    "gemma4_v4": _GEMMA_4,
    "gemma4_v5": _SHOWING_GEMMA,
    "glm4moe": Row(
        "<|user|>\nNEXT<|assistant|>",  # a turn ends with the token that begins the user's
        ("<|endoftext|>", "<|user|>"),
        "free",
        "\n<think>THOUGHT</think>\nANSWER",
        keeps_thoughts=False,
        form=_REASONING,
        extends=_NEVER,  # it writes an empty thought before an earlier answer
    ),
    "gptoss": Row(
        "<|end|><|start|>user<|message|>NEXT<|end|><|start|>assistant",
        ("<|return|>",),  # where earlier turns show <|end|>
        "free",
        "<|channel|>analysis<|message|>THOUGHT<|end|><|start|>assistant<|channel|>final<|message|>ANSWER",
        keeps_thoughts=False,
        form=_REASONING,
        extends=_NEVER,
        writes_date=True,
    ),
    "idefics3": _VISION,
    "lfm2": _IN_CONTENT,
    "lfm2_2_5": _LFM_2_5,
    "lfm2_2_5_v2": _LFM_2_5,
    "lfm2_2_5_vl": _LFM_2_5,
    "lfm2_v2": _IN_CONTENT,
    "llama3": replace(_LLAMA, tools=None),
    "llama3_1": _LLAMA,
    "llama3_2": replace(_LLAMA, writes_date=True),
    "llava_next": Row("</s> [INST] NEXT [/INST]", ("</s>",), reply=" ANSWER", tools=None, takes_parts=True),
    "muse_glimmer": Row(
        "<|eot|><|start|>user<|message|>NEXT<|eot|><|start|>assistant",
        ("<|eot|>",),
        "free",
        " to=self<|message|>THOUGHT<|eom|><|start|>assistant to=user<|message|>ANSWER",
        form=_REASONING,
        extends=(False, True),
        writes_date=True,
    ),
    "nemotron_3_5_lightning": _TERSE_NEMOTRON,
    "nemotron_3_nano": _NEMOTRON,
    "nemotron_3_super": _NEMOTRON,
    "nemotron_3_ultra": _TERSE_NEMOTRON,
    "phi3": _PHI,
    "phi3_5": _PHI,
    "qwen2_5": _CHATML,
    "qwen2_5_vl": replace(_CHATML, tools=None),
    "qwen3": _QWEN_3,
    "qwen3_5_nothink": replace(
        _QWEN_3, after=_chatml("<think>\n\n</think>\n\n"), thinking="closed", shares_prompt=False, extends=_NEVER
    ),
    "qwen3_5_think": _QWEN_3_5,
    "qwen3_6": _QWEN_3_5,
    "qwen3_8": replace(_QWEN_3_5, keeps_thoughts=True, shares_prompt=True, extends=(True, True)),
    "qwen3_instruct_2507": _IN_CONTENT,  # its tokenizer has the marks, though it does not think
    "qwen3_vl": _IN_CONTENT,
    "smolvlm": _VISION,
}
