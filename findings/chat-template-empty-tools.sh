#!/usr/bin/env bash
# transformers: an empty list of tools is not the same prompt as no tools. Another named template renders it, and
# templates of Llama 3.1 and 3.2 then announce functions and list none.
#
# Date: 2026-11-28. Versions: transformers 5.24.0, jinja2 3.1.6, trl 1.16.0 (for its copies of published templates),
# Python 3.11.
#
# What happens. apply_chat_template(messages, tools=[]) hands the empty list on as it is.
#   - A tokenizer with several templates renders with the one named tool_use whenever tools is not None, so tools=[]
#     takes a template that the same conversation with tools=None doesn't.
#   - Llama 3.1's and 3.2's templates ask "tools is not none" as well: "Environment: ipython" stands in the system
#     message, and "Given the following functions, please respond with a JSON for a function call" before the user's
#     question, with no function after it. The model is asked for a call of nothing.
#   - Qwen's, gpt-oss's and most others ask "if tools": the prompt is the same.
#
# Output seen (of the 41 templates that TRL ships, those whose prompt changes; then a tokenizer of two templates):
#   tools=[] changes the prompt of: llama3_1, llama3_2
#   llama3_1 says: Given the following functions, please respond with a JSON for a function call
#   tools=None renders with default, tools=[] renders with tool_use
#
# Why the guess is wrong. An empty list is falsy, and "no tools" reads the same as "a list of no tools". Rows of a data
# set have a column of tools for every row, and those without any hold [].
#
# Whom it hurts. Whoever trains or evaluates on rows of which only some have tools, and passes tools=row["tools"]: on
# Llama 3 the rows without tools get a prompt that asks for a JSON call, and score as if the model could not answer.
#
# What to do. Pass tools=row["tools"] or None.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HF_HUB_OFFLINE=1 HF_HOME="$work/hf"

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet transformers==5.24.0 jinja2==3.1.6
"$work/venv/bin/pip" install --quiet --no-deps trl==1.16.0

cd "$work"
"$work/venv/bin/python" - <<'PY' || exit 1
import platform
from importlib import metadata, util
from pathlib import Path

import transformers
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

transformers.logging.set_verbosity_error()
print(f"Python {platform.python_version()}, transformers {transformers.__version__}, trl {metadata.version('trl')}")
folder = Path(util.find_spec("trl").origin).parent / "chat_templates"
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token="<s>", eos_token="</s>")
names = [path.stem for path in sorted(folder.glob("*.jinja")) if not path.stem.endswith("_training")]
assert len(names) == 41, names


def prompt(tools, name=None):
    source = name and (folder / f"{name}.jinja").read_text()
    content = "Is it late?"
    if name in ("idefics3", "smolvlm", "llava_next"):
        content = [{"type": "text", "text": content}]
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tools=tools, chat_template=source, tokenize=False,
        add_generation_prompt=True)


changed = [name for name in names if prompt([], name) != prompt(None, name)]
print(f"tools=[] changes the prompt of: {', '.join(changed)}")
assert changed == ["llama3_1", "llama3_2"]
announced = "Given the following functions, please respond with a JSON for a function call"
for name in changed:
    assert announced in prompt([], name) and "Environment: ipython" in prompt([], name)
    assert announced not in prompt(None, name)
print(f"llama3_1 says: {announced}")

tokenizer.chat_template = {"default": "default", "tool_use": "tool_use"}
print(f"tools=None renders with {prompt(None)}, tools=[] renders with {prompt([])}")
assert (prompt(None), prompt([])) == ("default", "tool_use")
print("as described: an empty list of tools is not the same prompt as no tools")
PY
