"""Builds the page: template, style and script around the data, with a policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from rrr_core.report.payload import Payload

SCRIPTS = (
    "text.js",
    "dom.js",
    "charts.js",
    "summary.js",
    "sections.js",
    "transfer.js",
    "rounds.js",
    "deciders.js",
    "forgetting.js",
    "curves.js",
    "profile.js",
    "episode.js",
    "pairs.js",
    "reflections.js",
    "browser.js",
    "live.js",
    "main.js",
)
"""The parts of the page's script, in order of dependency."""

_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def page_of(payload: Payload) -> str:
    """The whole page as HTML."""
    style = _asset("page.css")
    script = '"use strict";\n(() => {\n' + "\n".join(_asset(name) for name in SCRIPTS) + "\n})();\n"
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{source_hash(script)}'",
            f"style-src '{source_hash(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
    return fill(
        _asset("page.html"),
        {"POLICY": policy, "STYLE": style, "SCRIPT": script, "DATA": embedded_json(asdict(payload))},
    )


def fill(template: str, parts: Mapping[str, str]) -> str:
    """`template` with each `@@NAME@@` replaced in one pass: the parts themselves are not searched for placeholders.

    >>> fill("<p>@@A@@</p>@@B@@", {"A": "@@B@@", "B": "!"})
    '<p>@@B@@</p>!'
    """
    return re.sub(r"@@([A-Z]+)@@", lambda match: parts[match[1]], template)


def embedded_json(value: Any) -> str:
    r"""`value` as JSON that is safe inside a script element, whatever its texts contain.

    Every `<`, `>`, `&`, line separator and lone surrogate is escaped; NaN and infinities become null.

    >>> embedded_json(["</script>", float("nan")])
    '["\\u003c/script\\u003e",null]'
    """
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text.translate(_ESCAPES))


def source_hash(source: str) -> str:
    """The content-security-policy source that allows exactly this inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _asset(name: str) -> str:
    return (files("rrr_core.report") / "assets" / name).read_text(encoding="utf-8")
