"""An engine under a name that another distribution has: it is not imported."""

raise SystemExit("imported")
