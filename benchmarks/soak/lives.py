"""Lives of a soak's tenants: the same in every run, and in a steady state after four rounds.

Each round visits every tenant once. A life is four visits, and another life follows it. The first lives
are shortened, so that in each round a quarter of the tenants ends and another quarter begins.
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
"""The visits of a life.

create, update, delete: One job each.
repeat: A job with the applied configuration.
hold: A job that is held and killed, as Landlord kills it once the configuration changes, and the next job.
remake: A delete, and at once a job that creates the tenant again.
drift: An update, after which Landlord's configuration changes: the resync finds the change.
archive: A delete for ever, as Landlord does it; another tenant follows.
"""

LENGTH = 4

KEYS = UUID("c6b1c1c5-56e8-4a3a-8f9c-1d6a9d3f2f5e")


@attrs.define(kw_only=True)
class Tenant:
    """A tenant and its successors, with their visits.

    Attributes:
        number: Its position among the tenants.
        key: Landlord's current key for it.
        version: The latest desired configuration.
        lives: Whether it has a resource, and so a state in its lock.
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
        """Return the next visit; it is empty before the first life begins."""
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
    """Return tenants that do not exist yet."""
    return [Tenant(number=number) for number in range(how_many)]
