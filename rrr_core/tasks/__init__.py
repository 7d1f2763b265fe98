"""Tasks: find the installed ones, load the one asked for, call its plugin, and say who is to blame.

Importing this package imports no plugin; `find_tasks` and `find_overlays` import none either.
"""

from rrr_core.tasks.discovery import TaskEntry, find_overlays, find_tasks
from rrr_core.tasks.loading import TaskDescription, describe_task, load_task
from rrr_core.tasks.task import Task

__all__ = ["Task", "TaskDescription", "TaskEntry", "describe_task", "find_overlays", "find_tasks", "load_task"]
