"""Profiling: the seconds, tokens and FLOPs that each kind of work took."""
