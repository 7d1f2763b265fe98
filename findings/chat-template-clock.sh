#!/usr/bin/env bash
# transformers: a chat template's clock cannot be set. A function given as strftime_now reaches the template as a text,
# and the template that calls it raises.
#
# Date: 2026-11-28. Versions: transformers 5.24.0, jinja2 3.1.6, trl 1.16.0 (for its copies of published templates),
# Python 3.11.
#
# What happens. Templates of Llama 3.2, gpt-oss, Muse Glimmer and others write today's date into every prompt with
# strftime_now(format), a function that transformers defines. apply_chat_template passes any further argument on to the
# template, where it wins over a global of the same name. So a clock of one's own looks like one argument away. But
# everything given is first rebuilt from plain JSON types, and what is none becomes "<function>": the template calls a
# text. A clock that isn't given stays today's, so the same conversation has other ids tomorrow.
#
# Output seen:
#   llama3_2, no clock               today
#   llama3_2, a clock of one's own   TypeError: 'str' object is not callable
#   llama3_2, date_string            01 Jan 2020
#   gptoss, no clock                 today
#   gptoss, a clock of one's own     TypeError: 'str' object is not callable
#   gptoss, date_string              today
#   gptoss, calls replaced           2020-01-01
#
# Why the guess is wrong. The arguments are documented as passed to the template renderer, jinja's own render takes
# functions, and the error names neither the argument nor the template.
#
# Whom it hurts. Whoever wants prompts to be the same on every day: evaluations that are repeated, prompt caches, tests
# of ids, runs that are resumed after midnight.
#
# What to do. Where a template reads a variable for the date, give that (date_string for Llama 3, current_date for Muse
# Glimmer). gpt-oss reads none: replace the calls in the template's source by the date, and give that source as
# chat_template.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HF_HUB_OFFLINE=1 HF_HOME="$work/hf"

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet transformers==5.24.0 jinja2==3.1.6
"$work/venv/bin/pip" install --quiet --no-deps trl==1.16.0

cd "$work"
"$work/venv/bin/python" - <<'PY' || exit 1
import datetime
import platform
import re
from importlib import metadata, util
from pathlib import Path

import transformers
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

transformers.logging.set_verbosity_error()
print(f"Python {platform.python_version()}, transformers {transformers.__version__}, trl {metadata.version('trl')}")
templates = Path(util.find_spec("trl").origin).parent / "chat_templates"
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token="<s>", eos_token="</s>")
today = [format(datetime.date.today(), shape) for shape in ("%d %b %Y", "%Y-%m-%d")]


def date_in(name, source=None, **given):
    source = source or (templates / f"{name}.jinja").read_text()
    try:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": "Hello."}], chat_template=source, tokenize=False, **given)
    except TypeError as error:
        return f"TypeError: {error}"
    found = re.search(r"(?:Today Date|Current date): (\d\d \w{3} \d{4}|\d{4}-\d\d-\d\d)", text)[1]
    return "today" if found in today else found


def clock(shape):
    return datetime.date(2020, 1, 1).strftime(shape)


gptoss = (templates / "gptoss.jinja").read_text()
replaced = re.sub(r"strftime_now\((.)(.*?)\1\)", lambda call: repr(clock(call[2])), gptoss)
refused = "TypeError: 'str' object is not callable"
for name, what, given, expected in (
    ("llama3_2", "no clock", {}, "today"),
    ("llama3_2", "a clock of one's own", {"strftime_now": clock}, refused),
    ("llama3_2", "date_string", {"date_string": "01 Jan 2020"}, "01 Jan 2020"),
    ("gptoss", "no clock", {}, "today"),
    ("gptoss", "a clock of one's own", {"strftime_now": clock}, refused),
    ("gptoss", "date_string", {"date_string": "01 Jan 2020"}, "today"),
    ("gptoss", "calls replaced", {"source": replaced}, "2020-01-01"),
):
    seen = date_in(name, **given)
    print(f"{name + ', ' + what:32} {seen}")
    assert seen == expected, (name, what, seen)
print("as described: a chat template's clock cannot be given")
PY
