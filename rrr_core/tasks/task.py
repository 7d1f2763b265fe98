"""A loaded task: its plugin's hooks, called, checked and blamed.

A fault in a hook that decides about an answer becomes an abstention, a fault in any other hook a PluginError.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rrr_core.episode import Messages
from rrr_core.errors import DataError, PluginError, RrrError, nearest
from rrr_core.hookspecs import TRUSTED, Call, DataOption, Example, Manifest, Model, Row, Step
from rrr_core.row_files import RowError
from rrr_core.tasks import course_values, values
from rrr_core.tasks.boundary import Boundary
from rrr_core.tasks.data_options import ReadOptions, check_declared, rows_read_with
from rrr_core.tasks.discovery import TaskEntry, provenance_of
from rrr_core.tasks.echoes import is_echo
from rrr_core.tasks.hooks import Plugin
from rrr_core.verdicts import TOO_LONG, Verdict, abstained, failed

SPLITS = ("train", "test")
REFLECTION_PROMPT = (
    "You tried solving the problem and got the wrong answer. Reflect on what went wrong and write a short explanation "
    "that will help you do better next time."
)
"""The paper's wording for Countdown (arXiv 2505.24726)."""


class Task(Boundary):
    """A task's plugin with its overlays; the first of them to return something other than None answers a hook.

    Every hook gets its own copy of a row, so a plugin that changes it does no harm; only a trusted `rrr_verify` gets
    the row itself, since the copy would cost more than the verdict.
    All methods except `verify` raise PluginError if the plugin is at fault. An RrrError that a plugin raises, such as a
    DataError for a bad file, is the user's to fix and passes through.
    """

    def __init__(self, plugin: Plugin, overlays: Sequence[Plugin] = ()) -> None:
        super().__init__(plugin, overlays)
        self.overlays = tuple(overlay.entry.name for overlay in overlays)
        """Their names; the last is asked first."""
        self._judges = {
            self._plugins[each.plugin_name].called: each.plugin
            for each in reversed(self._callers("rrr_judge"))
            if not (each.wrapper or each.hookwrapper)
        }
        self.trusted = all(hasattr(each.function, TRUSTED) for each in self._callers("rrr_verify"))
        """Whether every implementation of `rrr_verify`, including the overlays', is marked `@trusted`."""
        self._verify = self._directly("rrr_verify", ("row", "answer"))
        self.rewards_trusted = all(hasattr(each.function, TRUSTED) for each in self._callers("rrr_reward"))
        """Whether every implementation of `rrr_reward` that counts is marked `@trusted`."""
        self.has_steps = self.implements("rrr_step")
        """Whether a model acts in steps, whose last is judged, instead of answering at once."""
        self.steps_trusted = all(hasattr(each.function, TRUSTED) for each in self._callers("rrr_step"))
        """Whether every implementation of `rrr_step` is marked `@trusted`."""

    def __repr__(self) -> str:
        stacked = "".join(f" + {name}" for name in self.overlays)
        return f"<Task {self.name} of {self.distribution} {self.version}{stacked}>"

    @property
    def entries(self) -> tuple[TaskEntry, ...]:
        """The entries the task was loaded from: the plugin's, then the overlays'."""
        return tuple(plugin.entry for plugin in self._plugins.values())

    def load_dataset(self, split: str, options: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """The rows of `train` or `test`, lazily, each as if read back from JSON.

        `options` are the user's `--data KEY=VALUE`. Raises RrrError for one that the plugin does not declare, and for
        one that it does not ask for before its first row, since it would silently ignore it.
        """
        hook = "rrr_load_dataset"
        if split not in SPLITS:
            raise RrrError(f"There is no split {split!r}: use 'train' or 'test'.{nearest(split, SPLITS)}")
        options = dict(options or {})
        if not options:
            return self._items(hook, values.checked_row, "row", split=split, options=options)
        if not self._takes_options:
            raise RrrError(f"The task {self.name!r} takes no data options: leave out --data {next(iter(options))}=….")
        declared = self.data_options()
        if declared is not None:
            check_declared(self.name, options, declared)
        given = ReadOptions(options)
        return rows_read_with(
            self.name, given, self._items(hook, values.checked_row, "row", split=split, options=given)
        )

    def data_options(self) -> tuple[DataOption, ...] | None:
        """The `--data` options that the plugin declares; None if it takes some and does not say which."""
        hook = "rrr_data_options"
        if not self.implements(hook):
            return None if self._takes_options else ()
        return tuple(self._items(hook, values.checked_option, "option"))

    @property
    def _takes_options(self) -> bool:
        return any("options" in each.argnames for each in self._callers("rrr_load_dataset"))

    def row(self, row: Row, place: str) -> dict[str, Any]:
        """The task's own row for one from outside, as published or already its own; without the hook, the row itself.

        The hook may change the row that it gets. Raises DataError, naming `place`, for one that is neither.
        """
        hook = "rrr_row"
        if not self.implements(hook):
            return dict(row)
        try:
            given = self._manager.hook.rrr_row(task=self.name, row=row)
        except RowError as error:
            raise DataError(f"{place}: {error}.") from None
        except BaseException as error:  # noqa: BLE001 - `_reraise` decides
            self._reraise(hook, error, f"{place}: ")
        if given is row:  # The usual case, whose row comes from JSON.
            return dict(row)
        return self._checked(hook, values.checked_row, given, f"{place}: the row ")

    def prompt(self, row: Row, model: Model) -> Messages:
        """The prompt for a row, as chat messages; the last is the user's."""
        check = partial(values.checked_prompt, model=model, may_call=self.has_steps)
        return self._checked("rrr_prompt", check, self._call("rrr_prompt", row=row, model=model))

    def verify(self, row: Row, answer: str) -> Verdict:
        """The verdict on a model's whole output; an abstention if the verifier, not the answer, is at fault.

        Only KeyboardInterrupt passes through, since it is the user's.
        """
        hook = "rrr_verify"
        if not self.trusted:
            row = values.private_row(row)
        try:
            verdict = self._verify(row, answer)
        except BaseException as error:  # noqa: BLE001 - `_withheld` decides
            return self._withheld(hook, error)
        try:
            return values.checked_verdict(verdict)
        except ValueError as error:
            return abstained("bad verdict", f"{self.who(hook)}: {error}")

    @property
    def judges(self) -> tuple[str, ...]:
        """The names of the plugins that implement `rrr_judge`, in the order asked: the last overlay first."""
        return tuple(self._judges)

    @property
    def combines(self) -> bool:
        """Whether `rrr_combine` makes one verdict out of every judge's and the verifier's."""
        return self.implements("rrr_combine")

    @property
    def gives_rewards(self) -> bool:
        """Whether an `rrr_reward` counts: one that no overlay hides by judging without it (`rewarding`)."""
        return any(not (each.wrapper or each.hookwrapper) for each in self._callers("rrr_reward"))

    def reward(self, row: Row, answer: str, verdict: Verdict) -> Verdict:
        """A passed or failed verdict with the task's reward as its score; an abstention if `rrr_reward` is at fault."""
        if not self.rewards_trusted:
            row = values.private_row(row)
        arguments = {"task": self.name, "row": row, "answer": answer, "verdict": verdict}
        given = self._given("rrr_reward", partial(self._reward, **arguments), values.checked_reward, "bad reward")
        return given if isinstance(given, Verdict) else replace(verdict, score=given)

    def step(self, row: Row, state: Any, action: str, calls: Sequence[Call] = ()) -> Step | Verdict:
        """What an action of the model leads to; an abstention if the plugin, not the action, is at fault.

        A step that is too long only because it repeats the action is the action's fault: a failure.
        `state` is what the step before gave, None at first. `calls` are those in the action, whose text is what came
        before them.
        """
        if not self.steps_trusted:
            row, state = values.private_row(row), values.private(state)
        called = tuple(replace(each, arguments=values.private(each.arguments)) for each in calls)
        arguments = {"task": self.name, "row": row, "state": state, "action": action, "calls": called}
        call = partial(self._manager.hook.rrr_step, **arguments)
        return self._given("rrr_step", call, partial(_checked_step, action=action, calls=called), "bad step")

    def judge(self, judge: str, pairs: Sequence[tuple[Row, str]]) -> list[Verdict | None]:
        """One judge's verdicts on a batch of (row, answer); None for an item it leaves to the next judge.

        A fault of the judge withholds the whole batch. An RrrError, such as for a server that is down, passes through.
        """
        hook = "rrr_judge"
        others = [plugin for name, plugin in self._judges.items() if name != judge]
        caller = self._manager.subset_hook_caller(hook, others)
        try:
            verdicts = caller(task=self.name, pairs=[(values.private_row(row), answer) for row, answer in pairs])
        except RrrError:
            raise
        except BaseException as error:  # noqa: BLE001 - `_withheld` decides
            return [self._withheld(hook, error)] * len(pairs)
        try:
            return values.checked_judgements(verdicts, len(pairs))
        except ValueError as error:
            return [abstained("bad verdict", f"{self.who(hook)}: {error}")] * len(pairs)

    def combine(self, row: Row, answer: str, votes: Mapping[str, Verdict]) -> Verdict:
        """One verdict out of every judge's, `verifier` last; withheld if the combining overlay is at fault."""
        arguments = {"row": values.private_row(row), "answer": answer, "votes": dict(votes)}
        call = partial(self._manager.hook.rrr_combine, task=self.name, **arguments)
        return self._given("rrr_combine", call, partial(values.checked_verdict, may_withhold=True), "bad verdict")

    def reflection_prompt(self, row: Row, attempt: str, model: Model) -> str:
        """The user message that asks what went wrong; the paper's if the plugin has none of its own."""
        given = self._call("rrr_reflection_prompt", row=row, attempt=attempt, model=model)
        return (
            REFLECTION_PROMPT if given is None else self._checked("rrr_reflection_prompt", values.checked_text, given)
        )

    def retry_prompt(self, row: Row, model: Model) -> str:
        """The user message that asks for a retry; the last message of the row's prompt if the plugin has none."""
        given = self._call("rrr_retry_prompt", row=row, model=model)
        if given is None:
            return self.prompt(row, model)[-1]["content"]
        return self._checked("rrr_retry_prompt", values.checked_text, given)

    def examples(self) -> tuple[Example, ...]:
        """Answers with known verdicts; none if the plugin does not implement the hook."""
        return tuple(self.each_example())

    def each_example(self) -> Iterator[Example]:
        """The same, each checked as it is asked for: a plugin may have thousands."""
        if not self.implements("rrr_examples"):
            return iter(())
        return self._items("rrr_examples", course_values.checked_example, "example")

    def warmup(self, split: str, count: int, seed: int) -> Iterator[Messages]:
        """At most `count` worked conversations, lazily, each ending with the assistant's message.

        Raises PluginError if the plugin offers none.
        """
        hook = "rrr_warmup"
        if not self.implements(hook):
            raise PluginError(
                f"{self.who(hook)}: the task {self.name!r} offers no worked conversations to warm up a model."
            )
        items = self._items(
            hook, course_values.checked_conversation, "conversation", split=split, count=count, seed=seed
        )
        return itertools.islice(items, count)

    def gold_answer(self, row: Row) -> str | None:
        """An answer that passes, or None if none is known."""
        return self._checked("rrr_gold_answer", values.checked_optional_text, self._call("rrr_gold_answer", row=row))

    def final_answer(self, row: Row, text: str) -> str | None:
        """The part of a model's text that is judged, or None if there is none or the plugin does not say."""
        given = self._call("rrr_final_answer", row=row, text=text)
        return self._checked("rrr_final_answer", values.checked_optional_text, given)

    def worked_reflection(self, row: Row, attempt: str) -> str | None:
        """A written reflection on a failed attempt, or None if the plugin has none."""
        given = self._call("rrr_worked_reflection", row=row, attempt=attempt)
        return self._checked("rrr_worked_reflection", values.checked_optional_text, given)

    def default_model(self) -> str | None:
        """The folder or hub name of the model to use when the user names none, or None."""
        return self._checked("rrr_default_model", values.checked_optional_text, self._call("rrr_default_model"))

    def presets(self, command: str) -> dict[str, Any]:
        """Section → settings that suit the task in a command, `demo` or `warmup`; empty if the plugin has none."""
        given = self._call("rrr_presets", command=command)
        return {} if given is None else self._checked("rrr_presets", values.checked_mapping, given)

    def manifest(self) -> Manifest | None:
        """What the plugin declares about its rows and verdicts, or None."""
        given = self._call("rrr_manifest")
        return None if given is None else self._checked("rrr_manifest", values.checked_manifest, given)

    def provenance(self) -> dict[str, Any]:
        """What a run's manifest records about the task: JSON-able, and equal for equal plugins."""
        return provenance_of(self.name, *self.entries)


def _checked_step(step: object, action: str, calls: Sequence[Call]) -> Step | Verdict:
    """A step as `checked_plain_step` gives it, or the failure of an action that made it too long."""
    try:
        return course_values.checked_plain_step(step)
    except course_values.TooLong as error:
        if not is_echo(error.text, error.longest, action, calls):
            raise
        return failed(TOO_LONG, f"a step that repeats the action gave {error.what} of {len(error.text):,} characters")
