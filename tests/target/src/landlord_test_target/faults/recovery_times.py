"""The durations of operations after a kill, from the killed process's return."""

from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, Self

import attrs

from landlord_test_target.faults.fault import LONGEST_RECOVERY, Fault
from landlord_test_target.faults.load import Operation

__all__ = ["RecoveryTimes"]


@attrs.frozen
class RecoveryTimes:
    """Operations and failed calls, by tenant."""

    faults: list[Fault]
    operations: Mapping[str, list[Operation]]
    failed_calls: Mapping[str, list[float]]

    @classmethod
    def group(
        cls, faults: list[Fault], all_operations: list[Operation], ledger: list[dict[str, Any]]
    ) -> Self:
        """Group operations and failed calls by tenant."""
        by_tenant: dict[str, list[Operation]] = {}
        for operation in all_operations:
            by_tenant.setdefault(operation.tenant, []).append(operation)
        failed_calls: dict[str, list[float]] = {}
        for row in ledger:
            if row["outcome"] in ("failed", "lost"):
                failed_calls.setdefault(row["tenant"], []).append(row["at"])
        return cls(faults, by_tenant, failed_calls)

    def after_one_kill(self) -> Iterator[tuple[Fault, Operation, float]]:
        """Return the operations during which one kill and no other fault happened, with the seconds after it.

        An operation that is not over by `LONGEST_RECOVERY` counts in full, whatever faults came later.
        """
        for fault in self.faults:
            for operation in self._operations_at(fault) if fault.is_kill else ():
                end = min(operation.ended or inf, fault.recovered + LONGEST_RECOVERY)
                if not self._met_another(operation, end, fault):
                    yield fault, operation, max(0.0, (operation.ended or inf) - fault.recovered)

    def _operations_at(self, fault: Fault) -> Iterator[Operation]:
        """Return the operations that ran at a fault, or began during it, and did not fail."""
        begun_during = (
            operation
            for operations in self.operations.values()
            for operation in operations
            if fault.at <= operation.begun < fault.recovered
        )
        return (
            operation
            for operation in (*fault.running, *begun_during)
            if operation.status != "failed"
        )

    def _met_another(self, operation: Operation, end: float, fault: Fault) -> bool:
        others = [other for other in self.operations[operation.tenant] if other is not operation]
        mishaps = self.failed_calls.get(operation.tenant, ())
        return (
            operation.kind in ("mistake", "correct")
            or any(
                other is not fault and other.at < end and other.recovered > operation.begun
                for other in self.faults
            )
            or any(other.begun < end and (other.ended or inf) > operation.begun for other in others)
            or any(operation.begun < at < end for at in mishaps)
        )
