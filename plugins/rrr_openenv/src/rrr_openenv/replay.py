"""An environment of OpenEnv played in this process, without its server: reset with the row's seed, then each action.

This is the only module that imports openenv, which takes seconds; the others import it when they need it.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.mcp_environment import MCPEnvironment
from openenv.core.env_server.serialization import deserialize_action_with_preprocessing
from openenv.core.env_server.types import Action
from pydantic import ValidationError

from rrr_openenv.texts import clean


class Unserved(Exception):
    """The environment asks for something that has no place here; the text says what."""


@dataclass(frozen=True)
class Seen:
    """One observation, as a client of the environment's server reads it."""

    text: str
    reward: float
    done: bool


def found(name: str) -> Any:
    """The class named MODULE:CLASS. Raises Unserved if there is none."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise Unserved(f"{attribute} cannot be imported: {error}") from error


def environment_class(row: Mapping[str, Any]) -> Any:
    """The environment's class. Raises Unserved for one whose steps are not plain calls."""
    kind: Any = found(row["environment"])
    if Environment not in inspect.getmro(kind if inspect.isclass(kind) else object):
        raise Unserved("it is no subclass of openenv's Environment, perhaps a client of a server elsewhere")
    if issubclass(kind, MCPEnvironment):
        raise Unserved("its actions are calls of MCP tools")
    if kind.step_async is not Environment.step_async or kind.reset_async is not Environment.reset_async:
        raise Unserved("its steps are asynchronous")
    return kind


def action_class(row: Mapping[str, Any], kind: Any) -> Any:
    """The class of the environment's actions: the one named, or the one that the environment declares."""
    if row["action"]:
        return found(row["action"])
    bases = [base for each in kind.__mro__ for base in getattr(each, "__orig_bases__", ())]
    candidates = [argument for base in bases for argument in typing.get_args(base)[:1]]
    with contextlib.suppress(NameError):
        candidates.append(typing.get_type_hints(kind.step).get("action"))
    for each in candidates:
        if isinstance(each, type) and issubclass(each, Action) and each is not Action:
            return each
    raise Unserved("it does not say which class its actions are of: name it with --data action=MODULE:CLASS")


def first_seen(row: Mapping[str, Any]) -> tuple[Any, Seen]:
    """A new environment and its first observation, with the row's seed or task."""
    kind = environment_class(row)
    env = kind(**row["settings"])
    # As openenv's server does, what `reset` does not take is left out.
    given = {name: value for name, value in row["reset"].items() if takes(kind, "reset", name)}
    return env, seen(row, env.reset(**given))


def takes(kind: Any, place: str, name: str) -> bool:
    """Whether an environment's `reset`, or its constructor (`settings`), takes an argument of this name."""
    known = inspect.signature(kind.reset if place == "reset" else kind).parameters
    return name in known or any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values())


def seen(row: Mapping[str, Any], observation: Any) -> Seen:
    """An observation as the model reads it: its fields in JSON, without reward, end and (unless asked for) metadata."""
    hidden = {"reward", "done"} if row["metadata"] else {"reward", "done", "metadata"}
    fields = observation.model_dump(mode="json", exclude=hidden)
    text = clean(json.dumps(fields, ensure_ascii=False))
    return Seen(text, float(observation.reward or 0.0), bool(observation.done))


def action_of(text: str, kind: Any) -> Any:
    """The action in a model's text: the last JSON object in it; the whole text where an action is one text.

    Raises ValueError, with what is wrong, for what is no such action.
    """
    fields = {name: field for name, field in kind.model_fields.items() if name != "metadata"}
    needed = [name for name, field in fields.items() if field.is_required()] or list(fields)
    given = last_object(text)
    if given is None:
        if len(needed) != 1 or fields[needed[0]].annotation is not str:
            raise ValueError("no JSON object in it")
        given = {needed[0]: text.strip()}
    given.pop("metadata", None)  # Not for the model to set.
    try:
        return deserialize_action_with_preprocessing(given, kind)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'the action'}: {first['msg']}") from error
    except (TypeError, RuntimeError) as error:  # openenv looks into some fields before they are validated
        raise ValueError("a field's value is of the wrong type") from error


def last_object(text: str) -> dict[str, Any] | None:
    """The last JSON object in a text, or None. It looks at the last twenty opening braces only."""
    decoder, place, best, stop = json.JSONDecoder(), len(text), None, len(text)
    for _ in range(20):
        place = text.rfind("{", 0, place)
        if place < 0:
            break
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            continue
        if best is None or end >= stop:
            best, stop = value, end
    return best


def schema(kind: Any) -> str:
    """What an action is made of, in JSON Schema without the metadata."""
    shape = kind.model_json_schema()
    shape.get("properties", {}).pop("metadata", None)
    for key in ("title", "additionalProperties", "description"):
        shape.pop(key, None)
    return json.dumps(shape, ensure_ascii=False)


def play(row: Mapping[str, Any], actions: Sequence[str]) -> list[Seen]:
    """The first observation, and what each action led to.

    What is no action changes nothing and is answered by what is wrong with it, as by openenv's server. Raises whatever
    the environment raises.
    """
    env, first = first_seen(row)
    kind, led = action_class(row, type(env)), [first]
    try:
        for text in actions:
            if led[-1].done:
                raise ValueError("the episode is over, and there is another action")
            try:
                action = action_of(text, kind)
            except ValueError as error:
                led.append(Seen(clean(f"Not an action: {error}. Nothing has changed."), 0.0, False))
                continue
            led.append(seen(row, env.step(action)))
    finally:
        env.close()
    return led
