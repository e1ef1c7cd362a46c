"""What cases are played on: a target whose requests can be late, and what it has of a tenant."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from landlord_test_target.endings.plan import Case

__all__ = ["Asked", "Ground", "Holds"]


@attrs.frozen(kw_only=True)
class Holds:
    """What a target has of a tenant.

    Attributes:
        count: How many resources.
        serving: The version that serves, where one resource is there and whole; else 0.
        running: How many resources run, well or not.
        detail: All that is there, for the story.
    """

    count: int
    serving: int
    running: int
    detail: Sequence[Mapping[str, object]] = ()


@attrs.frozen(kw_only=True)
class Asked:
    """One request to the target.

    Attributes:
        at: When it was on the wire, in seconds since the epoch.
        call: Its kind.
        detail: All that is known of it, for the story.
    """

    at: float
    call: str
    detail: Mapping[str, object]


class Ground(Protocol):
    """A target."""

    @property
    def compute(self) -> str:
        """The compute engine."""

    def section(self, worker: int) -> Mapping[str, object]:
        """The engine's settings for one worker."""

    def config(self, case: Case, version: int) -> Mapping[str, object]:
        """What asks for a version that is well."""

    def job_config(self, case: Case) -> Mapping[str, object]:
        """What the job asks for that is killed."""

    async def prepare(self, cases: Sequence[Case]) -> None:
        """Have there what cases need, before the first one is played."""

    async def delay(self, case: Case) -> None:
        """Have the case's requests be late from now on."""

    async def holds(self, case: Case) -> Holds:
        """Look at the tenant's resources."""

    async def asked(self, case: Case) -> Sequence[Asked]:
        """What was asked for the tenant, in order."""
