"""A task set for verifiers 0.4 that comes with the plugin: sums, one or several in a row. It shows what the others do.

It is named by its module, as verifiers wants it, and imports no part of rrr.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import verifiers.v1 as vf

__all__ = ["SumsEnv", "SumsTaskset"]


class SumsData(vf.TaskData):  # type: ignore[misc]
    sums: list[list[int]]
    """Each the two numbers to add, one a turn."""


class SumsTask(vf.Task[SumsData]):  # type: ignore[misc]
    @vf.reward  # type: ignore[untyped-decorator]
    async def right(self, trace: vf.Trace) -> float:
        """The share of sums that are right."""
        replies = [(message.content or "").strip() for message in trace.assistant_messages]
        wanted = [str(sum(numbers)) for numbers in self.data.sums]
        right = [one == other for one, other in zip(replies, wanted, strict=False)]
        return right.count(True) / len(wanted)


class SumsConfig(vf.TasksetConfig):  # type: ignore[misc]
    turns: int = 1
    """Sums in a row."""
    largest: int = 9999  # So large that hardly two of a thousand tasks begin with the same sum.


class SumsEnv(vf.SingleAgentEnv):  # type: ignore[misc]
    async def run(self, task: SumsTask, agents: vf.Agents) -> None:
        """Ask for one sum after the other, whatever the reply."""
        async with agents.agent.interaction(task) as interaction:
            await interaction.turn()
            for one, other in task.data.sums[1:]:
                if (await interaction.turn(f"And {one} + {other}?")).terminated:
                    break


class SumsTaskset(vf.Taskset[SumsTask, SumsConfig]):  # type: ignore[misc]
    INFINITE = True

    def load(self) -> Iterator[SumsTask]:
        for number in itertools.count():
            drawn = random.Random(number)
            sums = [[drawn.randint(1, self.config.largest) for _ in range(2)] for _ in range(self.config.turns)]
            one, other = sums[0]
            asked = f"How much is {one} + {other}? Reply with the number alone."
            yield SumsTask(SumsData(prompt=asked, sums=sums), self.config.task)
