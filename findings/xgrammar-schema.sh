#!/usr/bin/env bash
# xgrammar and llguidance, two grammar engines behind constrained JSON: the same schema is two languages. In xgrammar
# anyOf or $ref switches off what stands beside it, to the point that a schema of an object admits the number 7, and a
# bound on a string's length forbids every line break and quotation mark in it.
#
# Date: 2026-11-28. Versions: xgrammar 0.2.9, llguidance 1.9.1, jsonschema 4.26.0 (as the judge), torch 2.13.0 (CPU),
# Python 3.11.
#
# What happens. Each row is a schema and a JSON text. jsonschema says whether the text is valid; the engines say whether
# a model under their grammar could have written it, byte by byte to the end. xgrammar, without any warning:
#   - lets keywords beside anyOf and $ref count for nothing. "An object with a, and with b or c" admits {"a": 1}, a
#     string for the integer a, and a bare number. An array by $ref with minItems 2 beside it may have one item.
#   - once minLength or maxLength is set, takes no escape inside the string: \n, \" and \\ can't be written at all. In
#     the mask of the next token the backslash is off. Without the bound it's on.
#   - takes a pattern for the whole string, where JSON Schema searches for it.
#   - when required names a property that properties doesn't declare, takes only objects without it: the invalid ones.
# llguidance answers each row as jsonschema does.
#
# Output seen:
#   schema                                  text                 valid  xgrammar  llguidance
#   object with a, and b or c (anyOf)       {"a": 1, "b": 2}     yes    yes       yes
#   object with a, and b or c (anyOf)       {"a": 1}             no     yes       no
#   object with a, and b or c (anyOf)       {"a": "x", "b": 2}   no     yes       no
#   object with a, and b or c (anyOf)       7                    no     yes       no
#   $ref to an array, minItems 2 beside it  {"a": [1]}           no     yes       no
#   required z, not declared                {"a": 1}             no     yes       no
#   required z, not declared                {"a": 1, "z": 2}     yes    no        yes
#   string                                  "one\ntwo"           yes    yes       yes
#   string, maxLength 80                    "one two"            yes    yes       yes
#   string, maxLength 80                    "one\ntwo"           yes    no        yes
#   string, minLength 1                     "say \"hi\""         yes    no        yes
#   string, minLength 1                     "\\frac{1}{2}"       yes    no        yes
#   string, pattern b                       "abc"                yes    no        yes
#   backslash allowed within the string: without maxLength yes, with maxLength no
#
# Why the guess is wrong. A grammar made from a schema is trusted to hold it, or to be refused or warned about where it
# can't (xgrammar does warn on oneOf, and on allOf of several). A length bound is a harmless cap to anyone's mind, and
# that $ref hides its siblings was so up to draft 7, not since 2019. The length bound is known upstream (xgrammar issue
# 800, open since August 2026); it has lasted several releases.
#
# Whom it hurts. Whoever generates tool calls, code, LaTeX or prose into JSON fields: a cap meant to save tokens cuts
# paragraphs and quotations out of what a policy can write. And whoever leaves out validation because "the grammar
# guarantees it". Moving from one engine to the other changes the data.
#
# What to do. Validate the finished text with a real validator whatever the engine. For xgrammar: put no length bound on
# free text (cap the tokens instead), write anyOf's branches out in full, put what belongs to a $ref inside its target,
# write a pattern for the whole string (.*b.*), declare every required property.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CUDA_VISIBLE_DEVICES="" OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 HF_HOME="$work/hf"

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 xgrammar==0.2.9 llguidance==1.9.1 \
    jsonschema==4.26.0

cd "$work"
# Warnings of the engines' native code go to standard error: there must be none
"$work/venv/bin/python" - 2> "$work/warnings" <<'PY' || { cat "$work/warnings" >&2; exit 1; }
import json
import platform
from importlib.metadata import version

import jsonschema
import llguidance
import xgrammar

print(f"Python {platform.python_version()}, " + ", ".join(
    f"{name} {version(name)}" for name in ("torch", "xgrammar", "llguidance", "jsonschema")))

END = 256  # a vocabulary of the 256 bytes and an end
VOCAB = [bytes([byte]) for byte in range(256)] + [b"<end>"]


class Bytes:
    """The tokenizer that llguidance asks for."""

    tokens, special_token_ids, eos_token_id, bos_token_id = VOCAB, [END], END, None

    def __call__(self, text):
        return list(text if isinstance(text, bytes) else text.encode())


COMPILER = xgrammar.GrammarCompiler(
    xgrammar.TokenizerInfo(VOCAB, vocab_type=xgrammar.VocabType.RAW, stop_token_ids=[END]))
TOKENIZER = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Bytes()))


def by_jsonschema(schema, text):
    return jsonschema.Draft202012Validator(schema).is_valid(json.loads(text))


def by_xgrammar(schema, text):
    matcher = xgrammar.GrammarMatcher(COMPILER.compile_json_schema(schema))
    return all(matcher.accept_token(byte) for byte in text.encode()) and matcher.accept_token(END)


def by_llguidance(schema, text):
    grammar = llguidance.LLMatcher.grammar_from_json_schema(schema)
    matcher = llguidance.LLMatcher(TOKENIZER, grammar, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    return matcher.try_consume_tokens(list(text.encode())) == len(text.encode()) and matcher.is_accepting()


def backslash(schema):
    """Whether the next token may be a backslash, after the opening quotation mark."""
    matcher = xgrammar.GrammarMatcher(COMPILER.compile_json_schema(schema))
    assert matcher.accept_token(ord('"'))
    mask = xgrammar.allocate_token_bitmask(1, len(VOCAB))
    matcher.fill_next_token_bitmask(mask)
    word, bit = divmod(ord("\\"), 32)
    return bool(mask[0, word].item() >> bit & 1)


def yes(flag):
    return "yes" if flag else "no"


INTEGER, STRING = {"type": "integer"}, {"type": "string"}
EITHER = {"type": "object", "properties": {"a": INTEGER, "b": INTEGER, "c": INTEGER}, "required": ["a"],
          "anyOf": [{"required": ["b"]}, {"required": ["c"]}]}
BESIDE = {"$defs": {"list": {"type": "array", "items": INTEGER}}, "type": "object",
          "properties": {"a": {"$ref": "#/$defs/list", "minItems": 2}}, "required": ["a"]}
UNDECLARED = {"type": "object", "properties": {"a": INTEGER}, "required": ["z"]}
CAPPED, FILLED = STRING | {"maxLength": 80}, STRING | {"minLength": 1}

ROWS = [  # schema, text, valid, by xgrammar
    ("object with a, and b or c (anyOf)", EITHER, '{"a": 1, "b": 2}', True, True),
    ("object with a, and b or c (anyOf)", EITHER, '{"a": 1}', False, True),
    ("object with a, and b or c (anyOf)", EITHER, '{"a": "x", "b": 2}', False, True),
    ("object with a, and b or c (anyOf)", EITHER, "7", False, True),
    ("$ref to an array, minItems 2 beside it", BESIDE, '{"a": [1]}', False, True),
    ("required z, not declared", UNDECLARED, '{"a": 1}', False, True),
    ("required z, not declared", UNDECLARED, '{"a": 1, "z": 2}', True, False),
    ("string", STRING, json.dumps("one\ntwo"), True, True),
    ("string, maxLength 80", CAPPED, json.dumps("one two"), True, True),
    ("string, maxLength 80", CAPPED, json.dumps("one\ntwo"), True, False),
    ("string, minLength 1", FILLED, json.dumps('say "hi"'), True, False),
    ("string, minLength 1", FILLED, json.dumps("\\frac{1}{2}"), True, False),
    ("string, pattern b", STRING | {"pattern": "b"}, json.dumps("abc"), True, False),
]

print(f"{'schema':38}  {'text':19}  valid  xgrammar  llguidance")
changed = []
for name, schema, text, valid, admitted in ROWS:
    schema = json.dumps(schema)
    seen = by_jsonschema(json.loads(schema), text), by_xgrammar(schema, text), by_llguidance(schema, text)
    print(f"{name:38}  {text:19}  {yes(seen[0]):5}  {yes(seen[1]):8}  {yes(seen[2])}")
    if seen != (valid, admitted, valid):
        changed.append((name, text))
free, capped = backslash(json.dumps(STRING)), backslash(json.dumps(CAPPED))
print(f"backslash allowed within the string: without maxLength {yes(free)}, with maxLength {yes(capped)}")
assert not changed, changed
assert free and not capped
PY
if [[ -s $work/warnings ]]; then
    echo "the engines warned:"
    cat "$work/warnings"
    exit 1
fi
echo "as described, and no warning was given"
