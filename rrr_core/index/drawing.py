"""A badge as a picture: one line of SVG for a README, without scripts, links or fonts of its own."""

from __future__ import annotations

from html import escape

from rrr_core.index.badge import NONE, Badge
from rrr_core.text import cut, one_line

HEIGHT, PADDING, WIDTH = 20, 8, 6.6
"""Pixels: of the badge, beside each text, and of a character of 11 px."""
LABEL = "#444"
SOUND, DOUBTFUL, BROKEN = "#1a7f37", "#9a6700", "#b42318"


def svg(badge: Badge) -> str:
    """The picture: the task and its version on the left, the four figures of trust on the right.

    Green if all that applies passed, hostile answers included; red if a check failed; amber without a sandbox.
    """
    left = cut(one_line(f"{badge.task} {badge.version}"), 60)
    right = one_line(" · ".join(badge.score), 200)
    colour = SOUND if badge.sound else BROKEN
    if badge.sound and (badge.isolation == NONE or not badge.hostile_answers):
        colour = DOUBTFUL
    one, two = (round(len(text) * WIDTH) + 2 * PADDING for text in (left, right))
    whole = f"rrr check: {left}: {right}"
    texts = "".join(
        f'<text x="{x}" y="14" textLength="{width - 2 * PADDING}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
        for x, width, text in ((PADDING, one, left), (one + PADDING, two, right))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{one + two}" height="{HEIGHT}" role="img" '
        f'aria-label="{escape(whole)}"><title>{escape(whole)}</title>'
        f'<rect width="{one}" height="{HEIGHT}" fill="{LABEL}"/>'
        f'<rect x="{one}" width="{two}" height="{HEIGHT}" fill="{colour}"/>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{texts}</g></svg>\n'
    )
