"""Judging outside a run: rejudging saved answers, and judging answers from files."""
