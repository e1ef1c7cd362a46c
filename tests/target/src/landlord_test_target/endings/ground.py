"""The ground of a case: a target whose requests can be late, and its view of a tenant."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from landlord_test_target.endings.plan import Case

__all__ = ["Asked", "Ground", "Holds"]


@attrs.frozen(kw_only=True)
class Holds:
    """A target's resources of a tenant.

    Attributes:
        count: The number of resources.
        serving: The version that serves; 0 unless there is exactly one resource, and complete.
        running: The number of running resources, healthy or not.
        detail: All resources, for the story.
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
        """Build the configuration of a healthy version."""

    def job_config(self, case: Case) -> Mapping[str, object]:
        """Build the configuration of the job that will be killed."""

    async def prepare(self, cases: Sequence[Case]) -> None:
        """Have there what cases need, before the first one is played."""

    async def delay(self, case: Case) -> None:
        """Have the case's requests be late from now on."""

    async def holds(self, case: Case) -> Holds:
        """Look at the tenant's resources."""

    async def asked(self, case: Case) -> Sequence[Asked]:
        """Return the tenant's requests, in order."""
