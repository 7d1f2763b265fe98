"""The package under which verifiers finds our tasks: `vf-eval rrr-taskset --env.taskset.task-name TASK`.

verifiers imports a task set by its package's name and takes the classes listed in `__all__`.
"""

from rrr_core.exports.verifiers import OneReplyEnv, OneReplyHarness, RowTaskset

__all__ = ["OneReplyEnv", "OneReplyHarness", "RowTaskset"]
