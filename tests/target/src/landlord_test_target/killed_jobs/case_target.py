"""The interface to the target of cases: it delays requests, and shows a tenant's resources and requests."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from landlord_test_target.killed_jobs.cases import Case

__all__ = ["CaseTarget", "Resources", "TargetRequest"]


@attrs.frozen(kw_only=True)
class Resources:
    """A target's resources of a tenant.

    Attributes:
        count: The number of resources.
        serving: The version that serves; 0 unless there is exactly one resource, and complete.
        running: The number of running resources, healthy or not.
        detail: All resources, for the record of the case.
    """

    count: int
    serving: int
    running: int
    detail: Sequence[Mapping[str, object]] = ()


@attrs.frozen(kw_only=True)
class TargetRequest:
    """One request to the target.

    Attributes:
        at: When the request was sent, in seconds since the epoch.
        call: The request's kind.
        detail: All that is known of the request, for the record of the case.
    """

    at: float
    call: str
    detail: Mapping[str, object]


class CaseTarget(Protocol):
    """The target of cases."""

    @property
    def compute(self) -> str:
        """Return the compute engine's name."""

    def settings(self, worker: int) -> Mapping[str, object]:
        """Return the engine's settings for one worker."""

    def config(self, case: Case, version: int) -> Mapping[str, object]:
        """Build the configuration of a healthy version."""

    def job_config(self, case: Case) -> Mapping[str, object]:
        """Build the configuration of the job that will be killed."""

    async def prepare(self, cases: Sequence[Case]) -> None:
        """Create all that the cases need, before the first case."""

    async def delay(self, case: Case) -> None:
        """Delay the case's requests from now on."""

    async def resources(self, case: Case) -> Resources:
        """Return the tenant's resources."""

    async def requests(self, case: Case) -> Sequence[TargetRequest]:
        """Return the tenant's requests, in order."""
