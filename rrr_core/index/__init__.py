"""The index of tasks: which tasks there are, and badges, which say what `rrr check` found of each.

    known = read_index(SHIPPED)
    found = search("sql numbers", known, find_tasks())

Importing it imports neither plugins nor the checks.
"""

from rrr_core.index.badge import Badge, badge_from
from rrr_core.index.known import SHIPPED, Known, read_badge, read_index
from rrr_core.index.search import Found, search

__all__ = ["SHIPPED", "Badge", "Found", "Known", "badge_from", "read_badge", "read_index", "search"]
