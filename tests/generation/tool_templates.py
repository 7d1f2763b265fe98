"""Chat templates that show tools, in the form of common model families, and tools to show."""

from __future__ import annotations

import json
from typing import Any

from tests.generation.tiny import CHATML, make_tokenizer

# Like Qwen2.5's: the tools, one JSON object a line, end the system's message, and there is always such a message.
QWEN_LIKE = (
    "{% set own = messages[0]['role'] == 'system' %}"
    "{{ '<|im_start|>system\n' + (messages[0]['content'] if own else 'You are a helper.') }}"
    "{% if tools %}{{ '\n\n# Tools\n<tools>' }}{% for tool in tools %}{{ '\n' + (tool | tojson) }}{% endfor %}"
    "{{ '\n</tools>\nCall them within <tool_call></tool_call>.' }}{% endif %}{{ '<|im_end|>\n' }}"
    "{% for message in messages %}{% if not (own and loop.first) %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Like Phi-4-mini's: it takes no `tools=`, and reads them, as text, from the system message.
PHI_LIKE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'system' and message['tools'] %}{{ '<|tool|>' + message['tools'] + '<|/tool|>' }}"
    "{% endif %}{{ '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
REFUSING = "{% if tools %}{{ raise_exception('no tools, please') }}{% endif %}" + CHATML
PHI_SPECIAL = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|tool|>", "<|/tool|>")
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Gives the {name} of a “city”.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    for name in ("weather", "time")
]


def tools_message(tools: object = TOOLS) -> dict[str, str]:
    return {"role": "tools", "content": json.dumps(tools)}


def qwen_like() -> Any:
    return make_tokenizer(QWEN_LIKE)


def phi_like() -> Any:
    tokenizer = make_tokenizer(PHI_LIKE, end=None)
    tokenizer.add_tokens(list(PHI_SPECIAL), special_tokens=True)
    tokenizer.eos_token = "<|end|>"
    return tokenizer
