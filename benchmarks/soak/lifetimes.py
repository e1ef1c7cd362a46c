"""The tenants of a soak and their operations: equal in every run, and steady after four rounds.

Each round does one operation on every tenant. A tenant's lifetime has four operations. Then
another lifetime begins under the same number. The first lifetimes are shorter. So a quarter of the
tenants ends in each round, and as many begin.
"""

from collections.abc import Iterator
from itertools import count
from uuid import UUID, uuid5

import attrs

__all__ = ["Tenant", "create_tenants"]

LIFETIMES = (
    ("create", "update", "repeat", "delete"),
    ("create", "hold", "recreate", "delete"),
    ("create", "drift", "update", "archive"),
)
"""The operations of a lifetime, one for each round.

create, update, delete: One job each. Landlord forgets a deleted tenant.
repeat: A job with the current configuration.
hold: A held job, which Landlord kills when the configuration changes, and the next job.
recreate: A delete, and immediately a job that creates the tenant again.
drift: An update, and right after it another desired configuration, which the resync applies.
archive: A delete, after which Landlord keeps the tenant as archived. A new tenant takes its number.
"""

LENGTH = 4

KEYS = UUID("c6b1c1c5-56e8-4a3a-8f9c-1d6a9d3f2f5e")


@attrs.define(kw_only=True)
class Tenant:
    """One tenant, its successors under the same number, and their operations.

    Attributes:
        number: The tenant's number.
        key: The tenant's current id.
        version: The version of the last desired configuration.
        has_resource: Whether the tenant has a resource, and so a state in its lock.
    """

    number: int
    key: str = ""
    version: int = 0
    has_resource: bool = False
    _next_operations: Iterator[str] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin the first lifetime."""
        self.key = self._key(0)
        self._next_operations = self._operations()

    def next_operation(self) -> str:
        """Return the next operation; empty before the tenant exists."""
        return next(self._next_operations)

    def _operations(self) -> Iterator[str]:
        skipped = self.number // len(LIFETIMES) % LENGTH
        for number in count():
            lifetime = LIFETIMES[(self.number + number) % len(LIFETIMES)]
            if number:
                yield from lifetime
            else:
                yield from ("create", *lifetime[skipped + 1 :]) if skipped < LENGTH - 1 else ("",)
            if lifetime[-1] == "archive":
                self.key = self._key(number + 1)

    def _key(self, number: int) -> str:
        return str(uuid5(KEYS, f"{self.number} {number}"))


def create_tenants(how_many: int) -> list[Tenant]:
    """Create the tenants, which neither Landlord nor Restate knows yet."""
    return [Tenant(number=number) for number in range(how_many)]
