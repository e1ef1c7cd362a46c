"""Cases on the tests' own target, whose ledger has a row for each request and for each effect."""

import json
from collections.abc import Mapping, Sequence
from itertools import product
from time import time

import attrs

from landlord_test_target.killed_jobs.case_target import Resources, TargetRequest
from landlord_test_target.killed_jobs.cases import AFTER, BEFORE, Case, KilledJob, Moments, Timeouts
from landlord_test_target.target import Target

__all__ = ["MOMENTS", "LedgerTarget"]

_PROVISION = [*product(("inspect", "create"), (BEFORE, AFTER))]
_UPDATE = [*product(("inspect", "update"), (BEFORE, AFTER))]
MOMENTS: Moments = {
    work: _PROVISION if work is KilledJob.PROVISION else _UPDATE for work in KilledJob
}


@attrs.frozen(kw_only=True)
class LedgerTarget:
    """A target of table rows, where an update is atomic."""

    target: Target
    times: Timeouts
    compute: str = attrs.field(default="target", init=False)

    def settings(self, worker: int) -> Mapping[str, object]:
        _ = worker
        return {"url": self.target.url, "longest_carry": self.times.request_timeout}

    def config(self, case: Case, version: int) -> Mapping[str, object]:
        _ = case
        return {"version": version}

    def job_config(self, case: Case) -> Mapping[str, object]:
        config = self.config(case, case.version)
        return (
            {**config, "unhealthy": True}
            if case.killed_job in (KilledJob.UNHEALTHY, KilledJob.NEVER_HEALTHY)
            else config
        )

    async def prepare(self, cases: Sequence[Case]) -> None:
        """Do nothing: the target knows tenants only by their resources."""

    async def delay(self, case: Case) -> None:
        await self.target.delay_calls(case.tenant, [attrs.asdict(delay) for delay in case.delays])

    async def resources(self, case: Case) -> Resources:
        resources = await self.target.resources(case.tenant)
        documents = [json.loads(resource["document"]) for resource in resources]
        healthy = [document["version"] for document in documents if not document["unhealthy"]]
        return Resources(
            count=len(resources),
            running=len(healthy),
            serving=healthy[0] if len(healthy) == len(resources) == 1 else 0,
            detail=documents,
        )

    async def requests(self, case: Case) -> Sequence[TargetRequest]:
        rows = await self.target.rows(case.tenant)
        return [
            TargetRequest(
                at=row["at"], call=row["call"], detail={**row, **_find_answer(row, rows[number:])}
            )
            for number, row in enumerate(rows)
            if row["outcome"] == "received"
        ]


def _find_answer(
    request: Mapping[str, object], rows: Sequence[Mapping[str, object]]
) -> dict[str, object]:
    """Return the time at which the target acted on a call; now if it did not act yet."""
    for row in rows:
        if row["request"] == request["request"] and row["outcome"] != "received":
            return {"answered": row["at"], "status": row["outcome"]}
    return {"answered": time()}
