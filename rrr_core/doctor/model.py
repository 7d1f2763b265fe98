"""What a model's chat template does to an episode, and what that costs. Reads no weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rrr_core.chat.switches import switches
from rrr_core.doctor.finding import MODEL, Finding

if TYPE_CHECKING:
    from rrr_core.chat.format import ChatFormat
    from rrr_core.generation.settings import ModelSettings


def model(settings: ModelSettings) -> Iterator[Finding]:
    """The findings for a model's tokenizer and chat template. Raises ModelError if they cannot be used."""
    from rrr_core.generation.model_files import read_files

    files = read_files(settings, digest=False)
    chat, tokenizer = files.chat, files.tokenizer
    family = files.model.family
    yield Finding(MODEL, "tokenizer", "ok", f"{type(tokenizer).__name__}, {len(tokenizer):,} tokens; family {family}")
    yield _named(chat)
    yield from _thoughts(chat)
    yield from _prefix(chat)
    yield Finding(MODEL, "end of turn", "ok", _tokens(tokenizer, files.end_ids))
    yield _tools(chat)
    yield Finding(MODEL, "content", "ok", "a list of parts" if chat.template.takes_parts else "a text")
    yield _date(chat)
    yield _switches(chat)


def _named(chat: ChatFormat) -> Finding:
    names, template = list(chat.template.sources), chat.template
    if len(names) == 1:
        return Finding(MODEL, "chat template", "ok", "one")
    used = template.settings.name or "default"
    with_tools = "" if template.for_tools is template else ", and tool_use where a prompt has tools"
    return Finding(MODEL, "chat template", "ok", f"{used}{with_tools}; the tokenizer has {', '.join(names)}")


def _thoughts(chat: ChatFormat) -> Iterator[Finding]:
    template, marks = chat.template, chat.template.marks
    if marks is None:
        cost = "a thought in marks not known here is judged as part of the answer: name them with --thought-marks"
        yield Finding(MODEL, "thoughts", "missing", "no marks known in the tokenizer and the template", cost)
        return
    written = "in channels" if marks.is_channels else f"{marks.open} … {marks.close}"
    if chat.opens_thought:
        state = "the prompt opens one"
    elif template.closes_thought:
        state = "the prompt holds an empty one, so the model writes its answer alone"
    else:
        state = "the model may open one"
    yield Finding(MODEL, "thoughts", "ok", f"{written}; {state}")
    if template.keeps_thoughts:
        yield Finding(MODEL, "earlier thoughts", "ok", "kept when the conversation goes on")
    else:
        cost = (
            "a reflection does not see the attempt's thought, nor a retry the reflection's: --keep-thoughts keeps them,"
            " and no prompt is then encoded again"
        )
        yield Finding(MODEL, "earlier thoughts", "missing", "dropped when the conversation goes on", cost)


def _prefix(chat: ChatFormat) -> Iterator[Finding]:
    """Whether the prompts of an episode continue each other, so that a prefix cache serves them."""
    if chat.template.shares_prompt:
        yield Finding(MODEL, "prompts", "ok", "a later prompt begins with the one before")
    else:
        cost = "the reflection's prompt cannot reuse the attempt's in a prefix cache: it is computed again"
        yield Finding(MODEL, "prompts", "missing", "rewritten when the conversation goes on", cost)
    kinds = {"an answer alone": False, "a thought and an answer": True} if chat.thinks else {"an answer": False}
    if chat.opens_thought:
        kinds = {"a thought and an answer": True}
    rewritten = [kind for kind, has_thought in kinds.items() if not chat.extends(has_thought)]
    if not rewritten:
        yield Finding(MODEL, "replies", "ok", "the conversation goes on from the ids that were sampled")
    else:
        cost = (
            "after these a later prompt is encoded whole: it shares no cache with what was sampled, and a --credit that"
            " trains retries needs --keep-thoughts"
        )
        yield Finding(MODEL, "replies", "missing", f"rewritten where they are {' or '.join(rewritten)}", cost)


def _tokens(tokenizer: object, ids: tuple[int, ...]) -> str:
    names: list[str] = tokenizer.convert_ids_to_tokens(list(ids))  # type: ignore[attr-defined]
    return ", ".join(f"{name} ({token})" for name, token in zip(names, ids, strict=True))


def _tools(chat: ChatFormat) -> Finding:
    place = chat.template.tools_place
    if place is None:
        cost = "a task whose prompts begin with tools writes them into the text, or cannot be used"
        return Finding(MODEL, "tools", "missing", "the template has no place for them", cost)
    where = "shown by the template" if place == "argument" else "in the system message"
    if not chat.calls:
        cost = "a task with steps has to read its calls from the text"
        return Finding(
            MODEL, "tools", "ok", f"{where}; calls are not read: the template writes none that come back", cost
        )
    several = "calls are read" if chat.template.calls.may_be_several else "one call in a reply is read"
    return Finding(MODEL, "tools", "ok", f"{where}; {several}")


def _date(chat: ChatFormat) -> Finding:
    if not chat.template.writes_date:
        return Finding(MODEL, "date", "ok", "none is written")
    day = chat.template.day.isoformat()
    return Finding(MODEL, "date", "ok", f"the template writes it; a run keeps that of its first day, here {day}")


def _switches(chat: ChatFormat) -> Finding:
    known = sorted(set().union(*(switches(source) for source in chat.template.sources.values())))
    given = chat.template.settings.arguments
    set_to = [f"{name}={given[name]}" for name in given]
    detail = f"{', '.join(known) or 'none'}" + (f"; set: {', '.join(set_to)}" if set_to else "")
    return Finding(MODEL, "switches", "ok", detail)
