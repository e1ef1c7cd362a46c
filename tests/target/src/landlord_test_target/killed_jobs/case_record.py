"""The record of a case, stored as a line of JSON."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import time

import attrs

from landlord_test_target.killed_jobs.case_target import Resources, TargetRequest
from landlord_test_target.killed_jobs.cases import Case

__all__ = ["CaseRecord", "write_records"]


@attrs.define(kw_only=True)
class CaseRecord:
    """The events of one case; times are seconds since the epoch, 0 for never.

    Attributes:
        api: Whether the workers know Landlord's API.
        freeze: The freeze of a worker, if there was one.
        job: The execution that was killed.
        was_running: Whether the job was running when it was killed.
        had_lock: Whether the job was the holder of the tenant's lock.
        next_job: The execution of the next job.
        next_job_ended: When the next job had ended.
        resources_at_end: The target's resources at that time.
        resources: The target's resources after the last resync.
        requests: All requests for the tenant.
        findings: The judge's findings.
    """

    case: Case
    api: bool
    freeze: Mapping[str, object] = attrs.field(factory=dict)
    job: str = ""
    sent: float = 0
    killed: float = 0
    was_running: bool = False
    had_lock: bool = False
    next_job: str = ""
    next_job_ended: float = 0
    resources_at_end: Resources | None = None
    resources: Resources | None = None
    history: Sequence[Mapping[str, object]] = ()
    requests: Sequence[TargetRequest] = ()
    findings: list[str] = attrs.field(factory=list)
    looked_at: float = 0

    @property
    def title(self) -> str:
        """Describe the case in one line."""
        case = self.case
        api = "with" if self.api else "without"
        return f"case {case.number} ({case.killed_job}, then {case.next_job}, {api} the API)"

    @property
    def has_late_request(self) -> bool:
        """Check whether a request of the job was in flight when the job was killed."""
        return any(
            request.at < self.killed < float(str(request.detail.get("answered", 0)))
            for request in self.requests
        )

    def store_resources(self, resources: Resources) -> None:
        """Store the final resources."""
        self.resources, self.looked_at = resources, time()


def write_records(
    target: str, seed: int, folder: Path, case_records: Sequence[CaseRecord]
) -> list[str]:
    """Write the records to a folder, print a summary, and return all findings."""
    path = folder / f"{target}-{seed}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(attrs.asdict(case_record)) for case_record in case_records]
    path.write_text("\n".join([*lines, ""]))
    wrong = [
        f"{case_record.title}: {'; '.join(case_record.findings)}"
        for case_record in case_records
        if case_record.findings
    ]
    good, was_running = (
        len(case_records) - len(wrong),
        sum(case_record.was_running for case_record in case_records),
    )
    late = sum(case_record.has_late_request for case_record in case_records)
    sys.stdout.write(
        f"\n{target}, seed {seed}: {good} of {len(case_records)} as expected. {was_running} jobs were killed while"
        f" they ran, {late} of them with a request in flight. Records: {path}\n"
    )
    return wrong
