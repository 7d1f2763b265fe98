"""Judging outside a run: kept answers judged again, and answers from files."""
