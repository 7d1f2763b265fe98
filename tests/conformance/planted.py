"""A task plugin that passes every check, and at least one way to break it for each check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

METADATA = """\
Metadata-Version: 2.4
Name: rrr-sums
Version: 1.0
Summary: Sums of two numbers
License-Expression: Apache-2.0
Requires-Python: >=3.11
Requires-Dist: rrr-core>=0.0.1,<99
"""

SOUND = """
import itertools
import random
import re
import time

from rrr_core import DataOption, Example, Manifest, failed, hookimpl, passed
from rrr_core.row_files import RowError

counter = itertools.count()


@hookimpl
def rrr_load_dataset(split):
    first = {"train": 1000, "test": 2000}[split]
    for number in range(first, first + 60):
        yield {"a": number, "b": number + 1}


@hookimpl
def rrr_row(row):
    if "a" not in row:
        raise RowError("the row has no a")
    return row


@hookimpl
def rrr_prompt(row, model):
    return f"What is {row['a']} plus {row['b']}? Reply with the number alone."


@hookimpl
def rrr_verify(row, answer):
    found = re.fullmatch(r"\\s*([1-9][0-9]{0,29})\\s*", answer)
    if found is None:
        return failed("not a number", answer[:20])
    return passed() if int(found[1]) == row["a"] + row["b"] else failed("wrong sum", found[1])


@hookimpl
def rrr_reward(row, answer, verdict):
    return None if verdict.is_passed else 0.25 * answer.strip().isdigit()


@hookimpl
def rrr_gold_answer(row):
    return str(row["a"] + row["b"])


@hookimpl
def rrr_examples():
    row = {"a": 2, "b": 3}
    yield Example(row, "5", "passed")
    yield Example(row, "6", "failed", "wrong sum")
    yield Example(row, "9**9**9", "failed", "not a number", hostile=True)


@hookimpl
def rrr_manifest():
    return Manifest("Add two numbers.", "generated", "rrr-sums 1.0", "CC0-1.0", ("not a number", "wrong sum"))
"""

IN_STEPS = (
    SOUND.replace("failed, hookimpl, passed", "failed, final, hookimpl, observed, passed")
    .replace('"5", "passed")', '"5", "passed", actions=("say a", "say b", "answer 5"))')
    .replace('"6", "failed", "wrong sum")', '"6", "failed", "wrong sum", actions=("answer 6",))')
    + """

@hookimpl
def rrr_step(row, state, action):
    said = (state or {"said": []})["said"]
    if action in ("say a", "say b"):
        name = action[-1]
        return observed(f"{name} is {row[name]}.", {"said": [*said, name][-4:]})
    number = re.fullmatch(r"answer ([0-9]{1,30})", action)
    if number:
        return final(number[1])
    return observed(f"Write say a, say b or answer N. Said so far: {' '.join(said[-4:])}", {"said": said})
"""
)
"""The sound plugin acting in steps."""

WITH_CALLS = (
    IN_STEPS.replace("import DataOption, Example", "import Action, Call, DataOption, Example")
    .replace(
        'actions=("say a", "say b", "answer 5")',
        'actions=(Action(calls=(Call("say", {"name": "a"}),)), "say b", Action("so", (Call("answer", {"sum": 5}),)))',
    )
    .replace("def rrr_step(row, state, action):", "def rrr_step(row, state, action, calls):")
    .replace(
        "    said = (state or",
        """    if calls:
        call = calls[0]
        value = call.arguments.get("name" if call.name == "say" else "sum")
        is_known = call.name in ("say", "answer") and type(value) in (int, str) and len(str(value)) < 30
        action = f"{call.name} {value}" if is_known else ""
    said = (state or""",
    )
)
"""The same, where an action may call `say` and `answer` instead."""

VERIFY = "    found = re.fullmatch("
STEP = "    said = (state or"


@dataclass(frozen=True)
class Plant:
    """One way to break the sound plugin, and what the check that finds it says."""

    check: str
    says: str
    """A part of the message."""
    old: str = ""
    new: str = ""
    metadata: tuple[str, str] = ("", "")
    modules: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    base: str = SOUND
    """The sound plugin that it breaks."""

    @property
    def id(self) -> str:
        return f"{self.check}-{self.name}" if self.name else self.check


PLANTS = (
    Plant("check_task_loads", "SyntaxError", "import itertools", "import itertools as"),
    Plant(
        "check_task_loads",
        "Did you mean 'rrr_gold_answer'",
        "def rrr_gold_answer",
        "def rrr_gold_anser",
        name="misspelt",
    ),
    Plant("check_task_loads", "ended its process with status 3", "import time", "import os\nos._exit(3)", name="exits"),
    Plant("check_import_is_light", "imports vllm", "import time", "import vllm", modules={"vllm": "heavy = True"}),
    Plant("check_metadata_are_complete", "a licence", metadata=("License-Expression: Apache-2.0\n", "")),
    Plant("check_metadata_are_complete", "a summary", metadata=("Sums of two numbers", "UNKNOWN"), name="summary"),
    Plant("check_metadata_are_complete", "both ends", metadata=(",<99", ""), name="no upper bound"),
    Plant("check_metadata_are_complete", "requires-python", metadata=("Requires-Python: >=3.11\n", ""), name="python"),
    Plant("check_manifest_is_complete", "has no data_license", '"CC0-1.0"', '""'),
    Plant(
        "check_manifest_is_complete", "'wrong sum' twice", '"wrong sum"))', '"wrong sum", "wrong sum"))', name="twice"
    ),
    Plant(
        "check_plugin_is_picklable",
        "rrr_gold_answer cannot be imported as rrr_sums.make.<locals>.rrr_gold_answer",
        "@hookimpl\ndef rrr_gold_answer(row):\n    return",
        "def make():\n    @hookimpl\n    def rrr_gold_answer(row):\n        return str(row['a'] + row['b'])\n"
        "    return rrr_gold_answer\n\n\nrrr_gold_answer = make()\n\n\ndef unused(row):\n    return",
    ),
    Plant(
        "check_splits_load",
        "gives no row for 'test'",
        '"test": 2000}[split]',
        '"test": 2000}[split]\n    if split == "test":\n        return',
    ),
    Plant("check_splits_load", "KeyError", '"test": 2000}', '"tset": 2000}', name="raises"),
    Plant(
        "check_splits_load",
        "for the split 'test' gave None: return or yield rows",
        "@hookimpl\ndef rrr_load_dataset(split):",
        "@hookimpl\ndef rrr_load_dataset(split):\n    return load(split) if split == 'train' else None\n\n\n"
        "def load(split):",
        name="none",
    ),
    Plant(
        "check_data_options_are_known",
        "'optionx', which it does not have, is ignored",
        "def rrr_load_dataset(split):",
        "def rrr_load_dataset(split, options):\n    options = dict(options)",
    ),
    Plant(
        "check_data_options_are_known",
        'gets "rrr-sums 1.0, hook rrr_load_dataset: row 0: TypeError',
        "def rrr_load_dataset(split):",
        "def rrr_load_dataset(split, options):\n    dict(**options, **dict.fromkeys(options))",
        name="raises",
    ),
    Plant(
        "check_data_options_are_known",
        "with its declared defaults spelt out (--data 'start=0') the rows of train are others",
        "def rrr_load_dataset(split):\n    first = {",
        "def rrr_data_options():\n    return [DataOption('start', kind='whole number', default='0')]\n\n\n"
        "@hookimpl\ndef rrr_load_dataset(split, options):\n    first = int(options.get('start', 5)) + {",
        name="default",
    ),
    Plant(
        "check_data_options_are_known",
        "option 0 has a default that does not fit",
        "def rrr_load_dataset(split):",
        "def rrr_data_options():\n    return [DataOption('start', kind='whole number', default='none')]\n\n\n"
        "@hookimpl\ndef rrr_load_dataset(split, options):",
        name="declaration",
    ),
    Plant(
        "check_own_rows_are_kept",
        "rrr_row changes row 0 of train",
        "    return row\n",
        "    return {'a': row['a']}\n",
    ),
    Plant(
        "check_own_rows_are_kept",
        "an object without any key is taken as a row",
        "        raise RowError",
        "        return row\n        raise RowError",
        name="takes anything",
    ),
    Plant(
        "check_own_rows_are_kept",
        'an object without any key gets "rrr-sums 1.0, hook rrr_row: no row: KeyError',
        '    if "a" not in row:',
        "    row['a']\n    if \"a\" not in row:",
        name="raises",
    ),
    Plant("check_rows_are_json", "is not JSON-able", '"b": number + 1}', '"b": number + 1, "c": {1}}'),
    Plant(
        "check_rows_are_json",
        "is an int, not a mapping",
        'yield {"a": number, "b": number + 1}',
        "yield number",
        name="int",
    ),
    Plant(
        "check_splits_load_lazily",
        "the first row of 'train' took",
        "    first = {",
        "    time.sleep(2.0)\n    first = {",
    ),
    Plant(
        "check_splits_load_lazily",
        "MB of memory",
        "    first = {",
        "    all_of_them = b'x' * (200 << 20)\n    first = {",
        name="memory",
    ),
    Plant(
        "check_rows_are_deterministic", "a second time", '"b": number + 1}', '"b": number + 1, "c": random.random()}'
    ),
    Plant(
        "check_rows_are_deterministic",
        "in another process",
        '"b": number + 1}',
        '"b": number + 1, "c": hash("number")}',
        name="hash",
    ),
    Plant("check_splits_are_disjoint", "is also a row of train (row 50)", '"test": 2000', '"test": 1050'),
    Plant(
        "check_splits_are_disjoint",
        "Does rrr_load_dataset use its argument `split`?",
        '"test": 2000',
        '"test": 1000',
        name="split not used",
    ),
    Plant(
        "check_splits_are_disjoint",
        "Does rrr_prompt use its row?",
        "f\"What is {row['a']} plus {row['b']}? Reply",
        '"What is the sum? Reply',
        name="one prompt",
    ),
    Plant(
        "check_splits_are_disjoint",
        "has the same prompt as a row of train",
        '{"a": number, "b": number + 1}',
        '{"a": number % 1000 + 1000, "b": number % 1000 + 1001, "c": split}',
        name="prompt",
    ),
    Plant(
        "check_prompts_are_sound",
        "gave blank text",
        '    return f"What',
        "    if model.family == 'llama':\n        return ' '\n    return f\"What",
    ),
    Plant("check_prompts_are_deterministic", "gave two texts", "Reply with", "{next(counter)} Reply with"),
    Plant(
        "check_prompts_are_deterministic", "another process", "Reply with", "{hash('number')} Reply with", name="hash"
    ),
    Plant("check_verdicts_are_given", "ZeroDivisionError", VERIFY, "    1 / 0\n" + VERIFY),
    Plant(
        "check_verdicts_are_given",
        "no verdict on an answer of its own rrr_examples within 2 seconds",
        VERIFY,
        "    while True:\n        pass\n" + VERIFY,
        name="hangs",
    ),
    Plant(
        "check_verdicts_are_given",
        "exited with status 4",
        VERIFY,
        "    import os\n    os._exit(4)\n" + VERIFY,
        name="exits",
    ),
    Plant(
        "check_prompts_leak_no_answer",
        "rrr_reflection_prompt gives away an answer that passes for 20 of 20 rows",
        "@hookimpl\ndef rrr_examples",
        "@hookimpl\ndef rrr_reflection_prompt(row):\n    return str(row['a'] + row['b'])\n\n\n"
        "@hookimpl\ndef rrr_examples",
    ),
    Plant(
        "check_examples_get_their_verdicts",
        "should be passed, but is failed as 'wrong sum'",
        '"5", "passed"',
        '"7", "passed"',
    ),
    Plant(
        "check_examples_get_their_verdicts",
        "example 0 has the outcome 'pass', neither 'passed' nor 'failed'",
        '"5", "passed"',
        '"5", "pass"',
        name="no outcome",
    ),
    Plant("check_examples_get_their_verdicts", "has no hostile answer", ", hostile=True", "", name="none hostile"),
    Plant("check_examples_get_their_verdicts", "gives nothing", "    row = {", "    return\n    row = {", name="none"),
    Plant(
        "check_gold_answers_pass",
        "gold answer 0, '2002', is failed",
        'return str(row["a"] + row["b"])',
        'return str(row["a"] + row["b"] + 1)',
    ),
    Plant(
        "check_malformed_answers_fail",
        "control characters passes",
        VERIFY,
        "    if '\\x01' in answer:\n        return passed()\n" + VERIFY,
    ),
    Plant(
        "check_other_rows_answers_fail",
        "of other rows pass",
        'int(found[1]) == row["a"] + row["b"]',
        "int(found[1]) - 1 in {*range(2000, 2120, 2), *range(4000, 4120, 2), 4}",
    ),
    Plant(
        "check_mutated_answers_fail",
        "mutation score",
        'int(found[1]) == row["a"] + row["b"]',
        'str(row["a"] + row["b"])[-1] in found[1]',
    ),
    Plant(
        "check_failures_name_their_class",
        "the class 'too long'",
        VERIFY,
        "    if len(answer) > 50_000:\n        return failed('too long')\n" + VERIFY,
    ),
    Plant(
        "check_failures_name_their_class",
        "has no class",
        VERIFY,
        "    if len(answer) > 50_000:\n        return failed('')\n" + VERIFY,
        name="none",
    ),
    Plant(
        "check_bad_policies_score_nothing",
        "the prompt's last number passes for 100% [84%, 100%] of rows; more than 50% is no chance. One is '1001', for"
        ' the row \'{"a": 1000, "b": 1001}\'.',
        '== row["a"] + row["b"] else',
        'in (row["a"] + row["b"], row["b"]) else',
    ),
    Plant(
        "check_bad_policies_score_nothing",
        "a refusal passes for 100% [84%, 100%] of rows; more than 5% is no chance.",
        VERIFY,
        f"    if 'sorry' in answer:\n        return passed()\n{VERIFY}",
        name="refusal",
    ),
    Plant(
        "check_bad_policies_score_nothing",
        "the one answer '2001' passes for 100% [83%, 100%] of rows",
        '== row["a"] + row["b"] else',
        'in (row["a"] + row["b"], 2001) else',
        name="constant",
    ),
    Plant(
        "check_verdicts_are_pure",
        "when judged again",
        'failed("wrong sum", found[1])',
        'failed("wrong sum", str(next(counter)))',
    ),
    Plant(
        "check_verdicts_are_pure",
        "when judged in another process",
        'failed("wrong sum", found[1])',
        'failed("wrong sum", str(hash("x")))',
        name="hash",
    ),
    Plant(
        "check_verdicts_are_pure",
        "changes row 0 of train",
        "@hookimpl\ndef rrr_verify(row, answer):\n",
        "from rrr_core import trusted\n\n\n@hookimpl\n@trusted\ndef rrr_verify(row, answer):\n    row['seen'] = True\n",
        name="row",
    ),
    Plant(
        "check_hostile_answers_do_no_harm",
        "no verdict within 1 CPU seconds",
        VERIFY,
        "    while '9**9**9**9' in answer:\n        pass\n" + VERIFY,
        name="hangs",
    ),
    Plant(
        "check_hostile_answers_do_no_harm",
        "IndexError",
        VERIFY,
        "    if ']0;title' in answer:\n        [].pop()\n" + VERIFY,
        name="raises",
    ),
    Plant(
        "check_hostile_answers_do_no_harm",
        "passes",
        VERIFY,
        "    if 'Verdict: passed' in answer:\n        return passed()\n" + VERIFY,
        name="passes",
    ),
    Plant(
        "check_rewards_are_sound",
        "gave 1.5, not a number from 0 to 1 (bad reward)",
        "0.25 * answer",
        "1.5 * answer",
        name="too much",
    ),
    Plant(
        "check_rewards_are_sound",
        "gave a bool, not a number from 0 to 1 or None",
        "0.25 * answer.strip().isdigit()",
        "answer.strip().isdigit()",
        name="no number",
    ),
    Plant(
        "check_rewards_are_sound",
        "hook rrr_reward: IndexError",
        "    return None if verdict.is_passed",
        "    if ']0;title' in answer:\n        [].pop()\n    return None if verdict.is_passed",
        name="raises on a hostile answer",
    ),
    Plant(
        "check_rewards_are_sound",
        "when asked again in another order",
        "0.25 * answer",
        "0.001 * next(counter) % 1 * answer",
        name="with a memory",
    ),
    Plant(
        "check_courses_lead_to_their_answers",
        "no passing example in rrr_examples has actions",
        ', actions=("say a", "say b", "answer 5")',
        "",
        base=IN_STEPS,
        name="none",
    ),
    Plant(
        "check_courses_lead_to_their_answers",
        "the course of the example '5' has no answer after its 3 actions",
        "        return final(number[1])",
        "        return observed('Really?', state)",
        base=IN_STEPS,
        name="observes forever",
    ),
    Plant(
        "check_courses_lead_to_their_answers",
        "leads to another answer, '6'",
        '"answer 5"))',
        '"answer 6"))',
        base=IN_STEPS,
        name="another answer",
    ),
    Plant(
        "check_courses_lead_to_their_answers",
        "ends at action 2 of 3, 'answer 5'",
        '"say b", "answer 5"))',
        '"answer 5", "say b"))',
        base=IN_STEPS,
        name="too early",
    ),
    Plant(
        "check_hostile_actions_do_no_harm",
        "hook rrr_step: KeyError",
        'value = call.arguments.get("name" if call.name == "say" else "sum")',
        'value = call.arguments["name" if call.name == "say" else "sum"]',
        base=WITH_CALLS,
        name="a call without its argument",
    ),
    Plant(
        "check_hostile_actions_do_no_harm",
        "int()",  # of a list or of words, whichever comes first
        'action = f"{call.name} {value}" if is_known else ""',
        'int(value) if call.name == "answer" else None; action = f"{call.name} {value}" if is_known else ""',
        base=WITH_CALLS,
        name="a call with a text for a number",
    ),
    Plant(
        "check_courses_lead_to_their_answers",
        "hook rrr_step: IndexError",
        STEP,
        "    action[0]\n" + STEP,
        base=IN_STEPS,
        name="raises",
    ),
    Plant(
        "check_courses_lead_to_their_answers",
        "gave a state that JSON changes",
        '{"said": [*said, name][-4:]}',
        '{"said": (*said, name)[-4:]}',
        base=IN_STEPS,
        name="a tuple in the state",
    ),
    Plant(
        "check_courses_lead_to_their_answers",
        "gave a state that is not JSON: Object of type set",
        '{"said": [*said, name][-4:]}',
        '{"said": [*said, name][-4:], "all": set(said)}',
        base=IN_STEPS,
        name="a set in the state",
    ),
    Plant(
        "check_steps_are_pure",
        "when it is played alone",
        'f"{name} is',
        'f"{next(counter)}: {name} is',
        base=IN_STEPS,
        name="counts calls",
    ),
    Plant(
        "check_steps_are_pure",
        "when it is played alone",
        STEP,
        "    global last\n    last = [] if state is None else last\n    last += [action]\n"
        "    if len(last) > 4:\n        return observed('It is late.', state)\n" + STEP,
        base=IN_STEPS,
        name="mixes courses up",
    ),
    Plant(
        "check_steps_are_pure",
        "when it is played in another process",
        'f"{name} is',
        "f\"{hash('x')}: {name} is",
        base=IN_STEPS,
        name="hash",
    ),
    Plant(
        "check_steps_are_pure",
        "marked @trusted, changes the state, at the action 'say b'",
        "@hookimpl\ndef rrr_step(row, state, action):\n",
        "from rrr_core import trusted\n\n\n@hookimpl\n@trusted\ndef rrr_step(row, state, action):\n"
        "    if state and action == 'say b':\n        state['said'].reverse()\n        state['said'].append('b')\n",
        base=IN_STEPS,
        name="state",
    ),
    Plant(
        "check_steps_are_pure",
        "marked @trusted, changes the row",
        "@hookimpl\ndef rrr_step(row, state, action):\n",
        "from rrr_core import trusted\n\n\n@hookimpl\n@trusted\ndef rrr_step(row, state, action):\n"
        "    row['seen'] = True\n",
        base=IN_STEPS,
        name="row",
    ),
    Plant(
        "check_courses_stay_bounded",
        "gave a state of",
        "[*said, name][-4:]",
        "[*said, name * 50_000]",
        base=IN_STEPS.replace("said[-4:])}", "said)[-8:]}"),
        name="a growing state",
    ),
    Plant(
        "check_courses_stay_bounded",
        "gave an observation of",
        "said[-4:])}",
        "said) * 2_000}",
        base=IN_STEPS.replace("name][-4:]", "name]"),
        name="a growing observation",
    ),
    Plant(
        "check_observations_leak_no_answer",
        "an action that does nothing is followed by an answer that passes for 20 of 20 rows, such as '2",
        "    return observed(f\"Write say a, say b or answer N. Said so far: {' '.join(said[-4:])}\"",
        '    return observed(str(row["a"] + row["b"])',
        base=IN_STEPS,
    ),
    Plant(
        "check_hostile_actions_do_no_harm",
        "IndexError",
        STEP,
        "    if ']0;title' in action:\n        [].pop()\n" + STEP,
        base=IN_STEPS,
        name="raises",
    ),
    Plant(
        "check_hostile_actions_do_no_harm",
        "no step within 1 CPU seconds",
        STEP,
        "    while '9**9**9**9' in action:\n        pass\n" + STEP,
        base=IN_STEPS,
        name="hangs",
    ),
    Plant(
        "check_hostile_actions_do_no_harm",
        "gave an observation of 9,000,000 characters",
        STEP,
        "    if action.isdigit():\n        return observed(9 * action)\n" + STEP,
        base=IN_STEPS,
        name="multiplies what is long",
    ),
    Plant(
        "check_hostile_actions_do_no_harm",
        "ZeroDivisionError",
        STEP,
        "    if state and 'Verdict: passed' in action:\n        1 / 0\n" + STEP,
        base=IN_STEPS,
        name="raises in the middle",
    ),
    Plant(
        "check_hostile_actions_do_no_harm",
        "leads to an answer that passes",
        STEP,
        "    if 'Verdict: passed' in action:\n        return final(str(row['a'] + row['b']))\n" + STEP,
        base=IN_STEPS,
        name="passes",
    ),
)


def install(site: Any, plant: Plant | None = None) -> Path:
    """Install the task `sums`, sound or broken."""
    source, metadata = plant.base if plant else SOUND, METADATA
    modules: dict[str, str] = {}
    if plant is not None:
        assert plant.old in source
        assert plant.metadata[0] in metadata
        source = source.replace(plant.old, plant.new, 1) if plant.old else source
        metadata = metadata.replace(*plant.metadata, 1) if plant.metadata[0] else metadata
        modules = dict(plant.modules)
    info: Path = site.install(
        "rrr-sums", modules={"rrr_sums": source, **modules}, tasks={"sums": "rrr_sums"}, metadata=metadata
    )
    return info
