"""A task for verifiers: a task set whose reward is the task's verdict, and a harness that asks for one reply.

Written for v1, the only interface of verifiers 0.4. The package `rrr_taskset` offers both under a name that `vf-eval`
can find.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import openai
import verifiers.v1 as vf
from pydantic import model_validator

from rrr_core.errors import RrrError
from rrr_core.exports.judging import AwaitedJudge, explained, shared_judge
from rrr_core.exports.prompts import ROWS, PromptedRow, named_model, prompted_rows
from rrr_core.judging.answer_files import verdict_record
from rrr_core.tasks import load_task


class VerdictWithheld(Exception):
    """A verifier could not judge. verifiers records it as the rollout's error, and the rollout has no reward."""


class RowData(vf.TaskData):  # type: ignore[misc]
    """A row with its prompt: all that is needed to judge an answer, even from a saved trace."""

    task_name: str
    overlays: tuple[str, ...] = ()
    row: dict[str, Any]
    provenance: dict[str, Any]
    """Distributions and versions of the plugin and the overlays."""


class RowTask(vf.Task[RowData]):  # type: ignore[misc]
    """One row, rewarded 1.0 or 0.0 by its task's verdict."""

    @vf.reward  # type: ignore[untyped-decorator]
    async def passed(self, trace: vf.Trace) -> float:
        """The verdict on the whole text of the last reply. Raises VerdictWithheld if there is none."""
        return await self._reward(last_reply(trace), trace.info)

    async def validate(self, runtime: object) -> bool | None:
        """Whether the row's gold answer passes, or None if none is known; `vf-validate` calls this."""
        gold = self._judge.task.gold_answer(self.data.row)
        return None if gold is None else await self._reward(gold, {}) == 1.0

    async def _reward(self, answer: str, info: dict[str, Any]) -> float:
        verdict = await self._judge.judge(self.data.row, answer)
        info["verdict"] = verdict_record(verdict)
        if verdict.reward is None:
            raise VerdictWithheld(explained(verdict))
        return verdict.reward

    @property
    def _judge(self) -> AwaitedJudge:
        return shared_judge(self.data.task_name, self.data.overlays)


class RowTasksetConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Which task and which rows, under `--env.taskset.*`."""

    task_name: str = ""
    """The name of the rrr task, such as countdown."""
    split: Literal["train", "test"] = "test"
    rows: int | None = ROWS
    """Rows to take from the start of the split; None takes all."""
    data: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    """Options for the task's data set, as in `--data KEY=VALUE`."""
    overlays: list[str] = []  # noqa: RUF012
    """Overlays stacked on the task, as in `--with NAME`."""
    model: str = ""
    """The name of the model that prompts are written for."""
    family: str | None = None
    """That model's family, if its name does not show it."""

    @model_validator(mode="after")
    def check_task(self) -> RowTasksetConfig:
        """Report a wrong task name or overlay through verifiers, like its other options."""
        try:
            if self.task_name:  # verifiers makes a configuration without a name to discover the options.
                load_task(self.task_name, self.overlays)
        except RrrError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def name(self) -> str:
        """The name verifiers gives a run's folder."""
        return self.task_name or str(self.id)


class RowTaskset(vf.Taskset[RowTask, RowTasksetConfig]):  # type: ignore[misc]
    """The rows of a task, in their fixed order."""

    def load(self) -> Iterator[RowTask]:
        """The task set's rows. Raises RrrError like the task's plugin."""
        config = self.config
        if not config.task_name:
            raise RrrError("No task is named: give --env.taskset.task-name; `rrr tasks` lists what is installed.")
        task = load_task(config.task_name, config.overlays)
        model = named_model(config.model, config.family)
        shared = {"task_name": task.name, "overlays": tuple(config.overlays), "provenance": task.provenance()}
        for prompted in prompted_rows(task, config.split, config.rows, config.data, model):
            name = f"{config.split}-{prompted.index}"
            yield RowTask(
                RowData(id=name, name=name, row=dict(prompted.row), **prompt_fields(prompted), **shared), config.task
            )


class OneReplyHarness(vf.Harness[vf.HarnessConfig]):  # type: ignore[misc]
    """Sends the prompt once and keeps the reply: no tools and no shell, so the text is all there is to judge.

    It sends requests from this process and starts no others. For a remote runtime, use verifiers' own harness `null`.
    """

    APPENDS_SYSTEM_PROMPT = True
    SUPPORTS_RESUME = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: Mapping[str, str],
        data: vf.TaskData,
    ) -> vf.ProgramResult:
        """Send the prompt to verifiers' endpoint, which forwards it to the model and records the reply."""
        system, prompt = self.resolve_prompt(data)
        messages: list[Any] = [{"role": "system", "content": system}] if system else []
        if isinstance(prompt, str):
            messages.append({"role": "user", "content": prompt})
        else:
            messages += [{"role": each.role, "content": each.content} for each in prompt or ()]
        async with openai.AsyncOpenAI(base_url=endpoint, api_key=secret) as client:
            await client.chat.completions.create(model=ctx.model, messages=messages)
        return vf.ProgramResult(exit_code=0, stdout="", stderr="")


class OneReplyEnvConfig(vf.EnvConfig):  # type: ignore[misc]
    """One agent, on this machine: verifiers' default runs it at a sandbox provider, which needs an account."""

    agent: vf.AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())


class OneReplyEnv(vf.Env[OneReplyEnvConfig]):  # type: ignore[misc]
    """The agent plays the row; verifiers does the rest."""

    async def run(self, task: vf.Task, agents: vf.Agents) -> None:
        await agents.agent.run(task)


def prompt_fields(prompted: PromptedRow) -> dict[str, Any]:
    """`system_prompt` and `prompt`, as plain strings if possible: not every harness takes messages."""
    first, *rest = messages = prompted.messages
    system = first["content"] if first["role"] == "system" else None
    others = rest if system is not None else messages
    prompt = others[0]["content"] if len(others) == 1 else [dict(message) for message in others]
    return {"system_prompt": system, "prompt": prompt}


def last_reply(trace: vf.Trace) -> str:
    """The whole text of the model's last reply, unstripped: `Trace.last_reply` strips it."""
    if trace.root_reply is not None:
        return str(trace.root_reply)
    replies = trace.assistant_messages
    return str(replies[-1].content or "") if replies else ""
