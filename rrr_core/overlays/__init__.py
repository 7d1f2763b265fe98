"""Overlays of the core itself: judges beyond gold match, stacked on any task with `--with NAME:KEY=VALUE,…`.

Each module here is an overlay as a package of its own could offer it (`docs/overlays.md`); the core treats them alike.
"""
