"""The name by which verifiers finds our tasks: `vf-eval rrr-taskset --env.taskset.task-name TASK`.

verifiers imports a task set by its package's name, and takes the classes that `__all__` names.
"""

from rrr_core.exports.verifiers import OneReplyEnv, OneReplyHarness, RowTaskset

__all__ = ["OneReplyEnv", "OneReplyHarness", "RowTaskset"]
