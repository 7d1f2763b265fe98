"""Safe, short text for people: nothing a model or a file wrote may drive a terminal or a log."""

from __future__ import annotations

import unicodedata

HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that move the cursor, hide text, reverse it, or show nothing."""


def plain(text: str) -> str:
    """The text with every control and format character replaced by `�`; line breaks and tabs stay.

    >>> plain("a\\x1b[2Jb")
    'a�[2Jb'
    """
    if text.isprintable():
        return text
    return "".join("�" if unicodedata.category(mark) in HARMFUL and mark not in "\n\t" else mark for mark in text)


def cut(text: str, longest: int) -> str:
    """The text cut to at most `longest` characters; a cut text ends in `…`.

    >>> cut("a long text", 7)
    'a long…'
    """
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def one_line(value: object, longest: int = 1000) -> str:
    """A text, or a value's `str`, as one plain line of at most `longest` characters.

    >>> one_line("No such\\n  file\\x1b[31m")
    'No such file�[31m'
    """
    # The usual text is one already. (The only white space that counts as printable is the ordinary space.)
    if type(value) is str and len(value) <= longest and value.isprintable() and "  " not in value:
        return value.strip(" ")
    # Cut first: a plugin's message may be of any size.
    return cut(plain(" ".join(str(value)[: 4 * longest].split())), longest)


def shown(value: object, longest: int = 60) -> str:
    """A foreign value quoted in ASCII and cut to `longest` characters, for errors about a file's content.

    >>> shown("né\\n")
    "'n\\\\xe9\\\\n'"
    """
    return cut(ascii(value), longest)


def counted(number: int, noun: str, several: str = "") -> str:
    """A number with its noun, in the singular or the plural.

    >>> counted(1, "class", "classes"), counted(2_000, "row")
    ('1 class', '2,000 rows')
    """
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def rate(per_second: float) -> str:
    """Units per second, or seconds per unit if the rate is below 1.

    >>> rate(12.34), rate(0.25)
    ('12.3/s', '4.0 s each')
    """
    if per_second <= 0:
        return ""
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{1 / per_second:.1f} s each"


def percent(share: float, digits: int = 1) -> str:
    """A share in percent, without the sign: the one rounding of the terminal, the files and the page.

    >>> percent(0.2525), percent(0.5, 0)
    ('25.2', '50')
    """
    return f"{100 * share:.{digits}f}"


def points(share: float) -> str:
    """A difference of shares in signed percentage points; zero has no sign.

    >>> points(0.2525), points(-0.004), points(-0.0001)
    ('+25.2', '-0.4', '0.0')
    """
    size = percent(abs(share))
    return size if float(size) == 0 else ("+" if share > 0 else "-") + size


def duration(seconds: float) -> str:
    """A duration for people, in its one or two largest units.

    >>> duration(3.14), duration(34.2), duration(60), duration(130), duration(11_100)
    ('3.1 s', '34 s', '1 min', '2 min 10 s', '3 h 5 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    large, small = ("min", "s") if seconds < 3599.5 else ("h", "min")
    sizes = divmod(round(seconds if small == "s" else seconds / 60), 60)
    return " ".join(f"{size} {unit}" for size, unit in zip(sizes, (large, small), strict=True) if size)
