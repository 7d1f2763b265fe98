"""Switches of a chat template: the variables that it reads besides the conversation, such as `enable_thinking`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from rrr_core.errors import ModelError, nearest

GIVEN = frozenset(
    (
        "add_generation_prompt",
        "chat_template",
        "continue_final_message",
        "conversation",
        "documents",
        "max_length",
        "messages",
        "padding",
        "return_assistant_tokens_mask",
        "return_dict",
        "return_tensors",
        "sanitize_control_tokens",
        "tokenize",
        "tokenizer_kwargs",
        "tools",
        "truncation",
    )
)
"""What rrr and transformers give a template or its renderer, and no user."""
_FUNCTIONS = frozenset(("raise_exception", "strftime_now"))
_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")


def check_arguments(arguments: Iterable[str], sources: Collection[str]) -> None:
    """Raise ModelError for a template argument that acts on nothing, or that is not the user's to give."""
    for name in arguments:
        if name in GIVEN:
            raise ModelError(f"--template cannot set {name!r}: it is part of how every conversation is rendered.")
        if not any(re.search(rf"\b{re.escape(name)}\b", source) for source in sources):
            known = sorted(set().union(*map(switches, sources)))
            reads = f"It reads {', '.join(known)}." if known else "It reads nothing but the conversation."
            raise ModelError(f"The model's chat template does not read {name!r}.{nearest(name, known)} {reads}")


def switches(source: str) -> list[str]:
    """The variables that a template reads, without the conversation, the tokenizer's tokens and functions.

    >>> switches("{{ bos_token }}{% if enable_thinking %}{{ messages[0].content }}{% endif %}")
    ['enable_thinking']
    """
    from jinja2 import Environment, TemplateSyntaxError, meta, nodes

    environment = Environment(extensions=["jinja2.ext.loopcontrols"], autoescape=True)  # parses, and renders nothing
    try:
        tree = environment.parse(_GENERATION.sub("", source))
    except TemplateSyntaxError:  # rendering it says so
        return []
    names = list(tree.find_all(nodes.Name))
    tests = [test.node for test in tree.find_all(nodes.Test) if test.name in ("defined", "undefined")]
    filters = [each.node for each in tree.find_all(nodes.Filter) if each.name == "default"]
    assigned: dict[str, int] = {}
    for name in names:
        if name.ctx != "load":
            assigned.setdefault(name.name, name.lineno)
    asked = {
        node.name
        for node in [*tests, *filters]
        if isinstance(node, nodes.Name) and node.lineno <= assigned.get(node.name, node.lineno)
    }
    read = {name for name in meta.find_undeclared_variables(tree) if name in asked or name not in assigned}
    return sorted(name for name in read - GIVEN - _FUNCTIONS if not name.endswith("_token"))
