"""What this machine's sandbox keeps a verifier that runs model text from."""

from __future__ import annotations

from collections.abc import Iterator

from rrr_core.doctor.finding import Finding


def sandbox() -> Iterator[Finding]:
    """Each protection of the sandbox, and whether this machine enforces it."""
    from rrr_core.verification.protection import protections

    for protection in protections():
        if protection.in_force:
            yield Finding("sandbox", protection.name, "ok", protection.detail)
        else:
            cost = "a verifier that is not trusted is not kept from this; docs/verification.md says what it takes"
            yield Finding("sandbox", protection.name, "missing", protection.detail, cost)
