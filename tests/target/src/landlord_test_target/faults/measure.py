"""The durations of operations after a kill, from the killed process's return."""

from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, Self

import attrs

from landlord_test_target.faults.fault import WITHIN, Fault
from landlord_test_target.faults.load import Operation

__all__ = ["Measure"]


@attrs.frozen
class Measure:
    """Operations and failed calls, by tenant."""

    faults: list[Fault]
    asked: Mapping[str, list[Operation]]
    mishaps: Mapping[str, list[float]]

    @classmethod
    def of(cls, faults: list[Fault], asked: list[Operation], ledger: list[dict[str, Any]]) -> Self:
        """Group operations and failed calls by tenant."""
        by_tenant: dict[str, list[Operation]] = {}
        for one in asked:
            by_tenant.setdefault(one.tenant, []).append(one)
        mishaps: dict[str, list[float]] = {}
        for row in ledger:
            if row["outcome"] in ("failed", "lost"):
                mishaps.setdefault(row["tenant"], []).append(row["at"])
        return cls(faults, by_tenant, mishaps)

    def taken(self) -> Iterator[tuple[Fault, Operation, float]]:
        """Return the operations that met one kill and no other fault, with their seconds after it.

        An operation that is not over by `WITHIN` counts in full, whatever faults came later.
        """
        for fault in self.faults:
            for one in self._met(fault) if fault.is_kill else ():
                end = min(one.ended or inf, fault.over + WITHIN)
                if not self._met_more(one, end, fault):
                    yield fault, one, max(0.0, (one.ended or inf) - fault.over)

    def _met(self, fault: Fault) -> Iterator[Operation]:
        """Return the operations that ran at a fault, or began during it, and did not fail."""
        asked = (
            one
            for all_of in self.asked.values()
            for one in all_of
            if fault.at <= one.begun < fault.over
        )
        return (one for one in (*fault.running, *asked) if one.status != "failed")

    def _met_more(self, one: Operation, end: float, fault: Fault) -> bool:
        beside = [other for other in self.asked[one.tenant] if other is not one]
        mishaps = self.mishaps.get(one.tenant, ())
        return (
            one.kind in ("mistake", "put right")
            or any(
                other is not fault and other.at < end and other.over > one.begun
                for other in self.faults
            )
            or any(other.begun < end and (other.ended or inf) > one.begun for other in beside)
            or any(one.begun < at < end for at in mishaps)
        )
