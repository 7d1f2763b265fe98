#!/usr/bin/env bash
# Chat templates lose parts of an assistant's message that calls tools, each its own part and without an error: the text
# beside the call, the second call, every call, or the order of text and result.
#
# Date: 2026-11-29. Versions: trl 1.16.0 (its copies of the models' templates), transformers 5.24.0, Python 3.11.
#
# What happens. A user asks; the assistant writes a text and calls a tool, which answers. Then the same with two calls.
#   - Llama 3.1's and Muse Glimmer's templates drop the text. Gemma 4's first template writes it *behind* the tool's
#     answer, so the model appears to have said it later; the second template of the same model writes it before.
#   - gpt-oss's template drops the second of two calls; Llama 3.1's raises, saying that it supports one call alone.
#   - LFM2's template announces the tools and shows their answers, and drops the calls themselves.
#   - Llama 3.1's and gpt-oss's write the tool's answer as JSON, in quotes; the others write it as it is.
#   - Qwen3.5's and Nemotron 3 nano's write the argument true as Python's True; Qwen3.6's, Gemma's and the rest, as true.
#
# Output seen:
#   template         text                second call        answer     true
#   gemma4           behind the answer   shown              bare       true
#   gemma4_v2        shown               shown              bare       true
#   gptoss           shown               dropped            in quotes  true
#   lfm2             shown               no call is shown   bare       –
#   llama3_1         dropped             raises             in quotes  true
#   muse_glimmer     dropped             shown              bare       true
#   nemotron_3_nano  shown               shown              bare       True
#   qwen2_5          shown               shown              bare       true
#   qwen3            shown               shown              bare       true
#   qwen3_5_think    shown               shown              bare       True
#   qwen3_6          shown               shown              bare       true
#
# Why the guess is wrong. Messages with `content` and `tool_calls` are one format for all models, and a template that
# takes `tools` and `tool_calls` seems to show what it is given.
#
# Whom it hurts. Whoever renders a kept conversation again, to train on it, to score it or to go on from it: the model
# reads another course of events than the one it acted in, and the sampled ids no longer match. Whoever lets a model call
# several tools at once. Whoever parses calls with one pattern for a family: Qwen3.5 and Qwen3.6 differ.
#
# What to do. Render a probe with a known text, two calls and an answer, and look for each part. Keep sampled ids instead
# of rendering again. Where a template drops what the model wrote, refuse, or hand over text and calls in one string.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HF_HUB_OFFLINE=1 HF_HOME="$work/hf"

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet transformers==5.24.0 jinja2==3.1.6
"$work/venv/bin/pip" install --quiet --no-deps trl==1.16.0

cd "$work"
"$work/venv/bin/python" - <<'PY'
import platform
from importlib.metadata import distribution, version

from transformers.utils.chat_template_utils import render_jinja_template

print(f"Python {platform.python_version()}, trl {version('trl')}, transformers {version('transformers')}")
SEEN = {
    "gemma4": ("behind the answer", "shown", "bare", "true"),
    "gemma4_v2": ("shown", "shown", "bare", "true"),
    "gptoss": ("shown", "dropped", "in quotes", "true"),
    "lfm2": ("shown", "no call is shown", "bare", "–"),
    "llama3_1": ("dropped", "raises", "in quotes", "true"),
    "muse_glimmer": ("dropped", "shown", "bare", "true"),
    "nemotron_3_nano": ("shown", "shown", "bare", "True"),
    "qwen2_5": ("shown", "shown", "bare", "true"),
    "qwen3": ("shown", "shown", "bare", "true"),
    "qwen3_5_think": ("shown", "shown", "bare", "True"),
    "qwen3_6": ("shown", "shown", "bare", "true"),
}
PARAMETERS = {"type": "object", "properties": {"now": {"type": "boolean", "description": "Now?"}}, "required": []}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "Looks it up.", "parameters": PARAMETERS}}
    for name in ("weather", "clock")
]
QUESTION = {"role": "user", "content": "QUESTION"}


def call(name, number):
    return {"id": f"call0000{number}", "type": "function", "function": {"name": name, "arguments": {"now": True}}}


def rendered(template, *messages):
    source = distribution("trl").locate_file(f"trl/chat_templates/{template}.jinja").read_text()
    made, _ = render_jinja_template(
        [[QUESTION, *messages]], tools=TOOLS, chat_template=source, bos_token="", eos_token=""
    )
    return made[0].partition("QUESTION")[2]


def behaviour(template):
    said = {"role": "assistant", "content": "I_LOOK", "tool_calls": [call("weather", 1)]}
    answer = {"role": "tool", "name": "weather", "tool_call_id": "call00001", "content": "SUNNY"}
    course = rendered(template, said, answer)
    is_behind = course.find("I_LOOK") > course.find("SUNNY")
    text = "dropped" if "I_LOOK" not in course else "behind the answer" if is_behind else "shown"
    try:
        both = rendered(template, {**said, "content": "", "tool_calls": [call("weather", 1), call("clock", 2)]})
        second = "shown" if "clock" in both else "dropped" if "weather" in both else "no call is shown"
    except Exception as error:
        second = "raises"
        print(f"{template}: {type(error).__name__}: {error}")
    truth = next((word for word in ("True", "true") if word in course), "–")
    return text, second, "in quotes" if '"SUNNY"' in course else "bare", truth


found = {template: behaviour(template) for template in SEEN}
for template, parts in {"template": ("text", "second call", "answer", "true"), **found}.items():
    print(f"{template:16} {parts[0]:19} {parts[1]:18} {parts[2]:10} {parts[3]}")
if found != SEEN:
    raise SystemExit("The behaviour has changed.")
PY
echo "As described."
