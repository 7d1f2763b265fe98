"""The date that a chat template writes, fixed to one day.

transformers gives templates its own clock, `strftime_now`, and lets no caller replace it. So the calls in the source
are replaced by what they would give on that day.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import lru_cache

_CALL = re.compile(r"""\bstrftime_now\(\s*(["'])(.*?)\1\s*\)""")
_DIRECTIVES = "aAbBcdDeFgGhHIjmMnpSTuUVwWxXyYzZ"
_OTHER_CALL = re.compile(r"\bstrftime_now\s*\(")


@lru_cache(maxsize=16)
def on_day(source: str, day: date) -> str:
    """A template's source with the dates it writes fixed.

    >>> on_day("{{ strftime_now('%d %b %Y') }}", date(2026, 11, 28))
    "{{ '28 Nov 2026' }}"

    A format that is not written out in the call is formatted by a macro of the same name.

    >>> on_day("{{ strftime_now(date_format) }}", date(2026, 11, 28)).endswith("{{ strftime_now(date_format) }}")
    True
    """
    noon = datetime(day.year, day.month, day.day, 12)  # noqa: DTZ001 - as transformers' own, without a time zone
    fixed = _CALL.sub(lambda found: repr(noon.strftime(found[2])), source)
    if not _OTHER_CALL.search(fixed):
        return fixed
    filters = "".join(f"|replace('%{each}', {noon.strftime(f'%{each}')!r})" for each in _DIRECTIVES)
    return f"{{%- macro strftime_now(format) -%}}{{{{- format{filters} -}}}}{{%- endmacro -%}}{fixed}"
