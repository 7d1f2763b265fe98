"""Tasks for the users of other packages: TRL, verifiers and inspect_ai, each a module that needs its package.

Importing this package imports none of them. `docs/exports.md` shows each.
"""
