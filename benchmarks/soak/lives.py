"""The tenants of a soak and their operations: equal in every run, and steady after four rounds.

Each round carries out the next stage of every tenant's life. A life has four stages, and then another
life begins in its place. The first lives are shorter, so that in each round a quarter of the tenants ends and another begins.
"""

from collections.abc import Iterator
from itertools import count
from uuid import UUID, uuid5

import attrs

__all__ = ["Tenant", "all_tenants"]

LIVES = (
    ("create", "update", "repeat", "delete"),
    ("create", "hold", "remake", "delete"),
    ("create", "drift", "update", "archive"),
)
"""The stages of a life.

create, update, delete: One job each.
repeat: A job with the current configuration.
hold: A held job, which Landlord kills when the configuration changes, and the next job.
remake: A delete, and at once a job that creates the tenant again.
drift: An update, and right after it another desired configuration, which the resync applies.
archive: A delete of an archived tenant, after which a new tenant takes its number.
"""

LENGTH = 4

KEYS = UUID("c6b1c1c5-56e8-4a3a-8f9c-1d6a9d3f2f5e")


@attrs.define(kw_only=True)
class Tenant:
    """One tenant, its successors under the same number, and their stages.

    Attributes:
        number: The tenant's number.
        key: The tenant's current id.
        version: The version of the last desired configuration.
        lives: Whether the tenant has a resource, and so a state in its lock.
    """

    number: int
    key: str = ""
    version: int = 0
    lives: bool = False
    _ahead: Iterator[str] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin the first life."""
        self.key = self._key(0)
        self._ahead = self._visits()

    def next(self) -> str:
        """Return the operation of the next stage; empty before the tenant's birth."""
        return next(self._ahead)

    def _visits(self) -> Iterator[str]:
        skipped = self.number // len(LIVES) % LENGTH
        for number in count():
            life = LIVES[(self.number + number) % len(LIVES)]
            if number:
                yield from life
            else:
                yield from ("create", *life[skipped + 1 :]) if skipped < LENGTH - 1 else ("",)
            if life[-1] == "archive":
                self.key = self._key(number + 1)

    def _key(self, number: int) -> str:
        return str(uuid5(KEYS, f"{self.number} {number}"))


def all_tenants(how_many: int) -> list[Tenant]:
    """Create the tenants, which neither Landlord nor Restate knows yet."""
    return [Tenant(number=number) for number in range(how_many)]
