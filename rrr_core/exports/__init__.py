"""Tasks for users of TRL, verifiers and inspect_ai: one module for each, which needs that package.

Importing `rrr_core.exports` imports none of them. `docs/exports.md` has an example of each.
"""
