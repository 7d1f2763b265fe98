"""The kind of a reflection, by rules that read the episode alone: no model, no plugin, the same on every machine.

The rules look at numbers, quoted names, worked sums, code and the judged part of an answer. They know no language
beyond that: an error put into words alone, without anything of the row in it, counts as generic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from rrr_core.episode import Episode, Round

LONGEST = 20_000
"""Characters of a text that are looked at."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of reflection."""

    key: str
    title: str
    meaning: str
    """The rule in a line; the first kind whose rule holds is the reflection's."""
    is_leak: bool = False
    """Whether it hands the retry a solution instead of a diagnosis."""


KINDS = (
    Kind("answer", "gives the answer", "contains the answer of its retry, or one that passed", is_leak=True),
    Kind("worked", "works it out", "works out sums, code or data that the failed answer does not have", is_leak=True),
    Kind("slipped", "works it out with a slip", "the same, and a sum in it is false", is_leak=True),
    Kind("named", "names the error", "says a number, a name or the class that the verdict found"),
    Kind("wrong", "wrong diagnosis", "says something specific that the verdict did not find, or a lone false sum"),
    Kind("generic", "generic", "says nothing specific to this answer"),
)
"""In the order in which their rules are tried."""

_NUMBER = re.compile(r"(?<![\w.])-?\d{1,18}(?:,\d{3})*(?:\.\d{1,18})?(?!\w)")
_NAME = re.compile(r"[`\"“]([^`\"“”\n]{1,80})[`\"”]|(?<![\w])([A-Za-z]\w*_\w+)")
_LIST_MARK = re.compile(r"^[ \t]{0,8}\d{1,2}[.)]\s", re.MULTILINE)
_SUM = re.compile(r"(?<![\w.])(\d{1,12}(?:\s?[-+*/×÷]\s?\d{1,12}){1,20})\s?=\s?(-?\d{1,12})(?![\w.]?\d)")
_DATA = re.compile(r"\[\s{0,8}\{|\{\s{0,8}\"")
_TAG = re.compile(r"</?answer>", re.IGNORECASE)
_BOX = re.compile(r"\\boxed\{([^{}]{0,2000})\}")
_EMPTY_WORDS = frozenset({"the", "a", "an", "of", "is", "was", "not", "no", "to", "at", "in"})
_TRIVIAL = frozenset({"0", "1"})
"""Numbers that say nothing: a score, a count, a bit."""


def kind_of(episode: Episode, round_: Round) -> str:
    """The key of the kind of a round's reflection.

    >>> from rrr_core.episode import Segment
    >>> from rrr_core.verdicts import failed, passed
    >>> missed = failed("missed target", "gives 98, not 60")
    >>> wrong = Segment("attempt", text="<answer>44+19+35</answer>", verdict=missed)
    >>> prompt = Segment("prompt", ({"role": "user", "content": "Use 44, 19, 35 to make 60."},))
    >>> episode = Episode(0, {}, (prompt, wrong))
    >>> texts = ["I will be careful.", "I got 98, not 60.", "I used 19 twice.", "44+19=63, 63+35=98, half is 19.",
    ...     "It is 44+35-19."]
    >>> retry = Segment("retry", text="<answer>44+35-19</answer>", verdict=passed())
    >>> [kind_of(episode, Round(Segment("reflection", text=text), (retry,))) for text in texts]
    ['generic', 'named', 'wrong', 'worked', 'answer']
    """
    text = round_.reflection.text[:LONGEST]
    failed = episode.attempt
    given = _given(episode)
    if _gives_answer(episode, round_, text, given):
        return "answer"
    own = _squeezed(failed.answer)
    sums = [each for each in _SUM.finditer(text) if _squeezed(each[0]) not in own]
    slipped = any(not _is_true(each) for each in sums)
    if len(sums) > 1 or any(_squeezed(each) not in own for each in _blocks(text)):
        return "slipped" if slipped else "worked"
    if slipped:
        return "wrong"
    verdict = failed.verdict
    assert verdict is not None
    found, seen = _specifics(verdict.detail), _specifics(failed.answer) | _specifics(given)
    claimed = _specifics(text)
    results = {each[2] for each in sums}
    if (news := found - seen) and claimed & news:
        return "named"
    if _names_class(text, verdict.category):
        return "named"
    if not claimed:
        return "generic"
    return "wrong" if news or claimed - seen - found - results else "named"


def judged_part(text: str) -> str:
    """The part of an answer that is most likely judged: the last answer tag, box or code block, or else all of it.

    >>> judged_part("So: <answer> 1 + 2 </answer>"), judged_part("3")
    ('1 + 2', '3')
    """
    text = text[-LONGEST:]
    tags = [(each.start(), each.end(), each[0].startswith("</")) for each in _TAG.finditer(text)]
    if closing := [start for start, _, is_closing in tags if is_closing]:
        opening = [end for _, end, is_closing in tags if not is_closing and end <= closing[-1]]
        if opening:
            return text[opening[-1] : closing[-1]].strip()
    if boxes := _BOX.findall(text):
        return str(boxes[-1]).strip()
    fenced = text.split("```")
    return (fenced[-2].partition("\n")[2] if len(fenced) > 2 else text).strip()


def _blocks(text: str) -> list[str]:
    """The code blocks of a text, and what looks like JSON in it."""
    fenced = text.split("```")
    blocks = [each.partition("\n")[2] for each in fenced[1:-1:2]]
    if found := _DATA.search(text):
        blocks.append(text[found.start() : text.rfind("}") + 1])
    return [each for each in blocks if each.strip()]


def _given(episode: Episode) -> str:
    """What the model was given about the row."""
    return "\n".join(message["content"] for message in episode.prompt)[:LONGEST]


def _gives_answer(episode: Episode, round_: Round, text: str, given: str) -> bool:
    own = _squeezed(judged_part(episode.attempt.answer))
    tried = [] if round_.retry is None else [round_.retry.answer]
    tried += [answer for tries in episode.controls.values() for answer, verdict in tries if verdict.is_passed]
    answers = {judged_part(answer) for answer in tried}
    return any(_squeezed(each) != own and _holds(text, each) and not _holds(given, each) for each in answers if each)


def _holds(text: str, answer: str) -> bool:
    """Whether a text contains an answer. White space does not count in a long one; a short one is a word of its own."""
    squeezed = _squeezed(answer)
    if len(squeezed) > 6 or not squeezed.isalnum():
        return len(squeezed) > 2 and squeezed in _squeezed(text)
    return re.search(rf"(?<![\w.]){re.escape(answer)}(?![\w])", text) is not None


def _squeezed(text: str) -> str:
    return "".join(text[:LONGEST].split())


def _specifics(text: str) -> set[str]:
    """The numbers and the names in a text; the marks of a numbered list are none."""
    text = _LIST_MARK.sub(" ", text[:LONGEST])
    numbers = {_plain_number(each) for each in _NUMBER.findall(text)}
    names = {(quoted or bare).strip().lower() for quoted, bare in _NAME.findall(text)}
    return (numbers - _TRIVIAL) | names


def _plain_number(text: str) -> str:
    text = text.replace(",", "")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _names_class(text: str, category: str) -> bool:
    """Whether a text has every word of an error class, whatever their endings."""
    wanted = [word for word in re.findall(r"[a-z]{3,}", category.lower()) if word not in _EMPTY_WORDS]
    words = set(re.findall(r"[a-z]{3,}", text.lower()))
    return bool(wanted) and all(_has_stem(words, word) for word in wanted)


def _has_stem(words: Iterable[str], word: str) -> bool:
    stem = word[: max(3, len(word) - 2)]
    return any(each.startswith(stem) for each in words)


def _is_true(found: re.Match[str]) -> bool:
    """Whether a worked sum is right; × and ÷ bind tighter than + and −."""
    terms = re.findall(r"\d+|[-+*/×÷]", found[1])
    total, product, sign = Fraction(0), Fraction(int(terms[0])), 1
    for operator, number in zip(terms[1::2], map(int, terms[2::2]), strict=True):
        if operator in "*×":
            product *= number
        elif operator in "/÷":
            if not number:
                return False
            product /= number
        else:
            total, product, sign = total + sign * product, Fraction(number), -1 if operator == "-" else 1
    return total + sign * product == int(found[2])
