"""An environment of verifiers played with given replies: its own `run`, with an agent that gives the replies it has.

This is the only module that imports verifiers, which takes seconds; the others import it when they need it.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import verifiers.v1 as vf
from verifiers.v1.configs.agent import agent_config_fields
from verifiers.v1.configs.judge import JudgeConfig
from verifiers.v1.dialects import parse_message
from verifiers.v1.graph import MessageNode
from verifiers.v1.session import call_hook, hook_boundary
from verifiers.v1.state import state_cls
from verifiers.v1.types import AssistantMessage, SystemMessage, UserMessage
from verifiers.v1.utils.decorators import discover_decorated
from verifiers.v1.utils.loaders import load_environment, resolve_env_config

from rrr_core.rewards import run_coroutine
from rrr_verifiers.texts import clean


class Unserved(Exception):
    """The task set asks for something that has no place here; the text says what."""


class OutOfReplies(BaseException):
    """The environment waits for the model. Not an Exception, so no environment takes it for a fault of its own."""

    def __init__(self, said: str | None) -> None:
        super().__init__()
        self.said = said
        """What it said to the model; None if that was the task's prompt."""


@dataclass(frozen=True)
class Course:
    """What playing an environment came to."""

    said: tuple[str, ...]
    """What it said after each reply, and before the first if the task has no prompt."""
    waits: bool
    """Whether it waits for another reply, to the last thing it said."""
    scores: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Reward → score and weight, at the end."""


@functools.lru_cache(maxsize=8)
def environment(taskset: str, config: str) -> Any:
    """The environment of a task set, configured. Raises Unserved, or whatever verifiers raises."""
    made = load_environment(resolve_env_config({"taskset": {**json.loads(config), "id": taskset}}))
    seats = sorted(agent_config_fields(made.config))
    if len(seats) != 1:
        raise Unserved(f"its environment has {len(seats)} agents ({', '.join(seats)}), and here one model plays")
    return made


def task_of(env: Any, data: dict[str, Any]) -> Any:
    """The task of a row's data, with the task set's configuration."""
    kind = type(env.taskset).task_type()
    return kind(kind.data_type().model_validate(data), env.taskset.config.task)


def require_served(env: Any, task: Any) -> None:
    """Raise Unserved for what the sandbox or a text alone cannot give."""
    kind = type(task)
    for judge in task.config.judges:
        raise Unserved(f"its score asks a model (judge {judge.id})")
    for name, value in (*task.config, *env.taskset.config, *env.config):
        if isinstance(value, JudgeConfig):
            raise Unserved(f"its score asks a model (the judge configured as {name})")
    if [*kind.toolsets(task.config), *type(env.taskset).toolsets(env.taskset.config)]:
        raise Unserved("it gives the model tools, which verifiers runs as servers")
    if kind.NEEDS_CONTAINER or task.data.image:
        raise Unserved("it needs a container")
    for hook in ("setup", "finalize", "stage_verifier"):
        if getattr(kind, hook) is not getattr(vf.Task, hook):
            raise Unserved(f"its {hook} works in a runtime, such as a container")
    for scorer in (*task.hooks("reward"), *task.hooks("metric")):
        runtime = inspect.signature(scorer).parameters.get("runtime")
        if runtime is not None and runtime.default is inspect.Parameter.empty:
            raise Unserved(f"its score ({scorer.__name__}) is measured in a runtime, such as a container")
    if discover_decorated(task, "intercept"):
        raise Unserved("it rewrites what the model reads or writes (@intercept)")
    for stop in task.hooks("stop"):
        if hook_boundary(stop, allow_trace=True) is not vf.Trace:
            raise Unserved(f"it stops on a single request or response ({stop.__name__})")


def play(env: Any, task: Any, replies: Sequence[str]) -> Course:
    """Play an episode with these replies, to its end or until another one is needed.

    Raises what the environment raises, and RuntimeError if it does not take all replies or plays more than one game.
    """
    return run_coroutine(_play(env, task, replies))


async def _play(env: Any, task: Any, replies: Sequence[str]) -> Course:
    (seat,) = agent_config_fields(env.config)
    agent = _Agent(seat, env, list(replies))
    agents = _Agents({seat: agent})
    episode = vf.Episode(env=vf.EnvInfo(id=env.config.env_id), task=_recorded(task), traces=agent.finished)
    try:
        await env.setup(agents)
        await env.run(task, agents)
    except OutOfReplies as waiting:
        said = agent.said if waiting.said is None else [*agent.said, waiting.said]
        return Course(tuple(said), waits=True)
    if agent.left:
        raise RuntimeError(f"the environment ended with {len(agent.left)} replies left over")
    episode.ok = True
    await env.finalize(task, episode)
    if len(agent.finished) != 1:
        raise RuntimeError(
            f"the environment ran its agent {len(agent.finished)} times in an episode, and one is judged"
        )
    (trace,) = agent.finished
    unscored = [name for name, reward in trace.rewards.items() if reward is None]
    if unscored:
        raise RuntimeError(f"not scored: {', '.join(unscored)}")
    return Course(tuple(agent.said), False, {name: (each.score, each.weight) for name, each in trace.rewards.items()})


def _recorded(task: Any) -> Any:
    return vf.TraceTask(type=type(task).__name__, data=task.data, key=task.key, hash=task.hash)


class _Agents:
    """The seats of an episode, by attribute."""

    def __init__(self, seats: dict[str, _Agent]) -> None:
        vars(self).update(seats)


class _Agent:
    """Stands in for verifiers' agent: `run` and `interaction`, answered from the replies. It has no runtime to lend."""

    def __init__(self, name: str, env: Any, replies: list[str]) -> None:
        self.name, self.env, self.left = name, env, replies
        self.trainable = True
        self.said: list[str] = []
        self.finished: list[Any] = []

    async def run(self, task: Any) -> Any:
        async with self.interaction(task) as interaction:
            await interaction.turn()
        return interaction.trace

    @asynccontextmanager
    async def interaction(self, task: Any) -> AsyncIterator[_Interaction]:
        exchange = _Interaction(self, task)
        yield exchange
        exchange.trace.stop("user_closed")
        await task.score(exchange.trace, None)
        exchange.trace.ok = True
        self.finished.append(exchange.trace)


class _Interaction:
    """One exchange, with the trace that scorers read."""

    def __init__(self, agent: _Agent, task: Any) -> None:
        self._agent, self._task = agent, task
        config = agent_config_fields(agent.env.config)[agent.name]
        info = vf.AgentInfo(config=config, name=agent.name, trainable=agent.trainable)
        self.trace = vf.Trace(task=_recorded(task), state=state_cls(type(task))(), agent=info)
        self._over = False

    async def turn(self, message: Any = None) -> Any:
        """The next reply, as verifiers' `Interaction.turn`: the prompt opens, or the first message without a prompt."""
        if self._over:
            raise RuntimeError("the exchange is over")
        opened, prompted = bool(self.trace.nodes), self._task.data.prompt is not None
        if (message is None) is not (prompted and not opened):
            raise ValueError("a bare turn() takes the reply to a task's prompt; every other turn has a message")
        if not opened:
            self._add(*opening(self._task.data))
        for stop in self._task.hooks("stop"):
            if await call_hook(stop, {vf.Trace: self.trace}):
                self.trace.stop(stop.__name__)
                self._over = True
                return vf.Segment(messages=[], terminated=True)
        said = None
        if message is not None:
            heard = _typed(message)
            said = text_of(heard)
            self._add(*heard)
        if not self._agent.left:
            raise OutOfReplies(said)
        if said is not None:
            self._agent.said.append(said)
        reply = AssistantMessage(content=self._agent.left.pop(0))
        self._add(reply, sampled=True)
        return vf.Segment(messages=[reply])

    def _add(self, *messages: Any, sampled: bool = False) -> None:
        for message in messages:
            parent = len(self.trace.nodes) - 1
            node = MessageNode(parent=parent if parent >= 0 else None, message=message, sampled=sampled)
            self.trace.nodes.append(node)


def _typed(message: Any) -> list[Any]:
    if isinstance(message, str):
        return [UserMessage(content=message)]
    return [parse_message(each) if isinstance(each, dict) else each for each in message]


def opening(data: Any) -> list[Any]:
    """The messages that a task's data begins the conversation with."""
    system = [SystemMessage(content=data.system_prompt)] if data.system_prompt is not None else []
    return [*system, *(_typed(data.prompt) if data.prompt is not None else ())]


def text_of(messages: Sequence[Any]) -> str:
    """What a person says in messages. Raises Unserved for other roles and for images."""
    return clean("\n\n".join(each["content"] for each in plain(messages)))


def plain(messages: Sequence[Any]) -> list[dict[str, str]]:
    """Messages as roles and texts. Raises Unserved for tools and for images."""
    shown = []
    for message in messages:
        parts = message.content if isinstance(message.content, list) else []
        if message.role == "tool" or getattr(message, "tool_calls", None):
            raise Unserved("its conversation has tool calls")
        if any(part.type != "text" for part in parts):
            raise Unserved("it shows the model images")
        text = "\n".join(part.text for part in parts) if parts else message.content
        shown.append({"role": message.role, "content": text or ""})
    return shown
