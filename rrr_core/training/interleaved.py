"""The worked conversations of several tasks as one stream, a batch of each in turn by its weight."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from rrr_core.episode import Messages
from rrr_core.tasks import Task
from rrr_core.training.shares import dealt, shares_of
from rrr_core.training.warmup_settings import WarmupSettings


def conversations_of(tasks: Sequence[Task], settings: WarmupSettings) -> Iterator[Messages]:
    """The conversations of a warm-up in training order, lazily.

    One task's come as it gives them. Several tasks' are dealt by their weights, a whole batch at a time: a batch that
    held long conversations of one and short ones of another would be mostly padding. The order in which tasks are named
    changes nothing. Raises PluginError if a task has no conversations, and RrrError for weights that do not fit.
    """
    if len(tasks) == 1:
        shares_of(settings.weights, [None])
        return tasks[0].warmup("train", settings.conversations, settings.seed)
    by_name = {task.name: task for task in tasks}
    shares = shares_of(settings.weights, by_name)
    names = [name for name in shares if name is not None]
    turns = [names[turn] for turn, _ in dealt(tuple(shares.values()), settings.conversations // settings.batch_size)]
    counts = Counter(turns)
    streams = {name: by_name[name].warmup("train", counts[name] * settings.batch_size, settings.seed) for name in names}
    return itertools.chain.from_iterable(itertools.islice(streams[name], settings.batch_size) for name in turns)
