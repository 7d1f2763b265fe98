"""Tasks: find the installed ones, load one, call its plugin, and attribute its faults.

Neither importing this package nor calling `find_tasks` or `find_overlays` imports a plugin.
"""

from rrr_core.tasks.discovery import TaskEntry, find_overlays, find_tasks
from rrr_core.tasks.loading import TaskDescription, describe_task, describe_tasks, load_task
from rrr_core.tasks.task import Task

__all__ = [
    "Task",
    "TaskDescription",
    "TaskEntry",
    "describe_task",
    "describe_tasks",
    "find_overlays",
    "find_tasks",
    "load_task",
]
