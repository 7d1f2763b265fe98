"""What hooks may return about courses: steps, examples with actions, worked conversations.

Each check returns a safe value or raises ValueError, as those of `values` do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rrr_core.episode.calls import CALLS, RESULT_ROLE, calls_to_text
from rrr_core.hookspecs import Action, Call, Example, Step
from rrr_core.tasks.tools import TOOLS_ROLE, read_tools
from rrr_core.tasks.values import ROLES, a_value, checked_message, checked_row, checked_text, encodable
from rrr_core.text import one_line

LONGEST_OBSERVATION = 32_768
LONGEST_STATE = 262_144
LONGEST_ANSWER = 1_048_576
"""The greatest lengths of what a step gives, in characters; a state's is that of its JSON."""
DEEPEST_STATE = 100
"""Most levels of a state: text of a model may be parsed into it, and what is deeper could not be sent to a worker."""
DEEPEST_CALL = 64
"""Most levels of a call's arguments. What is deeper could be read, but neither copied nor sent to a worker."""


def checked_example(example: object) -> Example:
    """An example, its row made safe like a data set's."""
    if not isinstance(example, Example):
        raise ValueError(f"is {a_value(example)}, not an Example")
    for name in ("answer", "outcome", "category", "reason"):
        if not isinstance(getattr(example, name), str):
            raise ValueError(f"has {a_value(getattr(example, name))} as its {name}, not a str")
    if example.outcome not in ("passed", "failed"):
        raise ValueError(f"has the outcome {one_line(example.outcome, 40)!r}, neither 'passed' nor 'failed'")
    try:
        row = checked_row(example.row)
    except ValueError as error:
        raise ValueError(f"has a row that {error}") from None
    actions: object = example.actions
    if isinstance(actions, str) or not isinstance(actions, Sequence):
        raise ValueError(f"has {a_value(actions)} as its actions, not a tuple of str and Action")
    return replace(example, row=row, hostile=bool(example.hostile), actions=tuple(map(_checked_action, actions)))


def _checked_action(action: object) -> str | Action:
    if isinstance(action, str):
        return action
    if not isinstance(action, Action):
        raise ValueError(f"has {a_value(action)} among its actions, not a str or an Action")
    if not isinstance(action.text, str):
        raise ValueError(f"has an Action whose text is {a_value(action.text)}, not a str")
    try:
        return Action(action.text, checked_calls(action.calls))
    except ValueError as error:
        raise ValueError(f"has an Action that {error}") from None


def checked_calls(calls: object) -> tuple[Call, ...]:
    """Calls whose arguments are as if read back from JSON, and such as a model's could be read."""
    if isinstance(calls, str) or not (isinstance(calls, Sequence) and all(isinstance(each, Call) for each in calls)):
        raise ValueError(f"gave {a_value(calls)} as its calls, not a tuple of Call")
    return tuple(map(_checked_call, calls))


def _checked_call(call: Call) -> Call:
    if not isinstance(call.name, str) or not call.name.strip():
        raise ValueError("gave a call without a name")
    try:
        arguments = checked_row(call.arguments)
        json.dumps([call.name, arguments], ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError(f"gave a call of {one_line(call.name, 40)!a} with a lone surrogate") from None
    except ValueError as error:
        raise ValueError(f"gave a call of {one_line(call.name, 40)!r} whose arguments: {error}") from None
    if depth_of(arguments) > DEEPEST_CALL:
        raise ValueError(f"gave a call of {one_line(call.name, 40)!r} nested too deeply: at most {DEEPEST_CALL} levels")
    return Call(call.name, arguments)


def checked_conversation(conversation: object) -> tuple[dict[str, str], ...]:
    """Worked messages that end with the assistant's; they may begin with tools, and its own may call some.

    The calls are given as `Call`s, and come out as JSON.
    """
    if not isinstance(conversation, Sequence) or isinstance(conversation, (str, bytes)):
        raise ValueError(f"gave {a_value(conversation)}, not a list of messages")
    if not conversation:
        raise ValueError("gave no message")
    messages = tuple(_worked_message(index, each) for index, each in enumerate(conversation))
    has_tools, called = messages[0]["role"] == TOOLS_ROLE, False
    if has_tools:
        try:
            read_tools(messages[0]["content"])
        except ValueError as error:
            raise ValueError(f"message 0, the tools: {error}") from None
    for index, message in enumerate(messages):
        if index and message["role"] == TOOLS_ROLE:
            raise ValueError(f"message {index} has the role {TOOLS_ROLE!r}, which only the first may have")
        if message["role"] == RESULT_ROLE and not called:
            raise ValueError(f"message {index} has the role {RESULT_ROLE!r}, and the one before it calls nothing")
        called = CALLS in message
        if called and not has_tools:
            raise ValueError(f"message {index} calls tools, and no message of the role {TOOLS_ROLE!r} is before it")
    if messages[-1]["role"] != "assistant":
        raise ValueError(f"its last message has the role {messages[-1]['role']!r}, not 'assistant'")
    return messages


def _worked_message(index: int, message: object) -> dict[str, str]:
    if not isinstance(message, Mapping) or CALLS not in message or message.get("role") != "assistant":
        return checked_message(index, message, (*ROLES, TOOLS_ROLE, RESULT_ROLE))
    if set(message) != {"role", "content", CALLS}:
        raise ValueError(f"message {index} has other keys than role, content and {CALLS}")
    try:
        calls, text = checked_calls(message[CALLS]), encodable(message["content"])
        if not calls:
            raise ValueError(f"its {CALLS} are none: leave them out")
    except ValueError as error:
        raise ValueError(f"message {index}: {error}") from None
    return {"role": "assistant", "content": text, CALLS: calls_to_text(calls)}


def checked_step(step: object) -> Step:
    """An observation to go on from or an answer to judge, whose texts are valid and whose state is JSON."""
    if not isinstance(step, Step):
        raise ValueError(f"gave {a_value(step)}, not a Step: return observed(text, state) or final(answer)")
    if step.answer is not None:
        if step.observation or step.state is not None:
            raise ValueError("gave a Step with an answer and an observation or a state: return one of the two")
        return Step(answer=_bounded("an answer", encodable(step.answer), LONGEST_ANSWER))
    observation = _bounded("an observation", checked_text(step.observation), LONGEST_OBSERVATION)
    try:
        written = json.dumps(step.state, ensure_ascii=False, allow_nan=False)
        written.encode()
        state = json.loads(written)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"gave a state that is not JSON: {one_line(str(error))}") from None
    _bounded("a state", written, LONGEST_STATE)
    if depth_of(state) > DEEPEST_STATE:
        raise ValueError(f"gave a state that is nested too deeply: at most {DEEPEST_STATE} levels are taken")
    return Step(observation, state)


def depth_of(value: Any) -> int:
    """How many lists and objects of a JSON value lie in each other."""
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth


class TooLong(ValueError):
    """A text beyond its bound, kept for a look at whose words it is made of."""

    def __init__(self, what: str, text: str, longest: int) -> None:
        super().__init__(f"gave {what} of {len(text):,} characters, and at most {longest:,} are taken: shorten it")
        self.what, self.text, self.longest = what, text, longest


def _bounded(what: str, text: str, longest: int) -> str:
    if len(text) > longest:
        raise TooLong(what, text, longest)
    return text


def checked_plain_step(step: object) -> Step:
    """A step as `checked_step` gives it, whose state JSON does not change: the next step meets what this one gave."""
    checked = checked_step(step)
    if isinstance(step, Step) and checked.state != step.state:
        raise ValueError(
            "gave a state that JSON changes, as it makes a list of a tuple and text of a key: build it of dict with "
            "keys of str, list, str, numbers, bool and None"
        )
    return checked
