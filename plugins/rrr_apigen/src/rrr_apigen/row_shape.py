"""Validation of a row from outside: `{"query", "tools", "answers"}`, the last two decoded from text."""

from __future__ import annotations

import json
from typing import Any

from rrr_core.row_files import Record, RowError, RowShape, decode_json, excerpt, names

WANTED = ("query", "tools", "answers")
MOST_LEVELS = 32
"""How deep lists and objects may be nested in `tools` and in `answers`."""


def own_row(record: Record) -> Record:
    """The row in any record, as published or as the task gives it. Raises RowError.

    Only `answers` must be there, which is all that a verdict needs. One that has no text to decode is the task's own,
    and of that only the calls are checked.
    """
    if "answers" not in record:
        raise RowError(f"the row has no 'answers', but {names(record)}")
    if not isinstance(record["answers"], str) and not isinstance(record.get("tools"), str):
        for place, call in enumerate(decoded_list(record["answers"], "answers"), start=1):
            checked_call(call, f"answer {place}")
        return record
    filled = checked({"query": "", "tools": [], **record})
    return {name: value for name, value in filled.items() if name in record}


def checked(record: Record) -> dict[str, Any]:
    """The row in a record that has the required columns; of the others, only `id` is kept. Raises RowError.

    A row may still contradict itself: `contradictions.contradiction` checks that.
    """
    row: dict[str, Any] = {}
    number = record.get("id")
    if number is not None:
        if type(number) is not int and not isinstance(number, str):
            raise RowError(f"'id' must be a whole number or text, but is {excerpt(number)}")
        row["id"] = number
    if not isinstance(record["query"], str):
        raise RowError(f"'query' must be text, but is {excerpt(record['query'])}")
    row["query"] = record["query"]
    tools, answers = (decoded_list(record[name], name) for name in ("tools", "answers"))
    row["tools"] = [checked_tool(tool, f"tool {place}") for place, tool in enumerate(tools, start=1)]
    row["answers"] = [checked_call(call, f"answer {place}") for place, call in enumerate(answers, start=1)]
    try:
        json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise RowError("it holds half of a surrogate pair, which no tokenizer takes") from None
    except (TypeError, ValueError) as error:  # Parquet values that JSON does not have, and NaN
        raise RowError(f"it holds what JSON cannot ({error})") from None
    return row


def decoded_list(value: Any, name: str) -> list[Any]:
    """A column's list, decoded if it is JSON in a string, as in the published data set. Raises RowError."""
    if isinstance(value, str):
        try:
            value = decode_json(value)
        except ValueError as error:
            raise RowError(f"{name!r} is not JSON ({error})") from None
    if not isinstance(value, list):
        raise RowError(f"{name!r} must be a list, or a list as JSON in a string, but is {excerpt(value)}")
    if not is_shallow(value, MOST_LEVELS):
        raise RowError(f"{name!r} is nested in more than {MOST_LEVELS} levels")
    return value


def checked_tool(tool: Any, where: str) -> dict[str, Any]:
    """A tool with a name, a description and parameters; the last two may be missing. Raises RowError."""
    tool = mapping(tool, where)
    name = tool.get("name")
    if not isinstance(name, str) or not name.strip():
        raise RowError(f"{where} must have a 'name', but its name is {excerpt(name)}")
    parameters = mapping({} if tool.get("parameters") is None else tool["parameters"], f"{where}, 'parameters',")
    return {
        "name": name,
        "description": text_of(tool, "description", where),
        "parameters": {
            parameter: checked_parameter(definition, f"{where}, parameter {excerpt(parameter)},")
            for parameter, definition in parameters.items()
        },
    }


def checked_parameter(definition: Any, where: str) -> dict[str, Any]:
    """A parameter's description, type and default; all may be missing. Raises RowError."""
    definition = mapping(definition, where)
    kept = {name: text_of(definition, name, where) for name in ("description", "type")}
    return {**kept, "default": definition["default"]} if "default" in definition else kept


def checked_call(call: Any, where: str) -> dict[str, Any]:
    """A call with exactly a name and arguments. Raises RowError."""
    call = mapping(call, where)
    if set(call) != {"name", "arguments"}:
        raise RowError(f"{where} must have exactly 'name' and 'arguments', but has {names(call)}")
    if not isinstance(call["name"], str):
        raise RowError(f"{where} must have a 'name' that is text, but it is {excerpt(call['name'])}")
    return {"name": call["name"], "arguments": mapping(call["arguments"], f"{where}, 'arguments',")}


def mapping(value: Any, where: str) -> dict[str, Any]:
    """A JSON object, or RowError."""
    if not isinstance(value, dict):
        raise RowError(f"{where} must be a JSON object, but is {excerpt(value)}")
    return value


def text_of(record: dict[str, Any], name: str, where: str) -> str:
    """A field's text, empty if it is missing or null. Raises RowError."""
    value = record.get(name)
    if value is not None and not isinstance(value, str):
        raise RowError(f"{where} must have a {name!r} that is text, but it is {excerpt(value)}")
    return value or ""


def is_shallow(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested in at most `levels` levels; never looks deeper than that."""
    if not isinstance(value, (list, dict)):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(is_shallow(each, levels - 1) for each in inner)


SHAPE = RowShape(WANTED, checked, optional=("id",), own_keys=("tools.parameters", "answers.arguments"))
"""APIGen's rows in files and tables."""
