"""The judge of a case: checks the target once no request of the case can be in flight."""

from landlord_test_target.killed_jobs.case_record import CaseRecord
from landlord_test_target.killed_jobs.cases import KilledJob, NextJob

__all__ = ["expected_versions", "find_faults"]


def find_faults(case_record: CaseRecord) -> list[str]:
    """List the faults of a case, as sentences."""
    case, resources = case_record.case, case_record.resources
    assert resources is not None, "the resources were read"
    if case.next_job is not NextJob.NOTHING and not case_record.next_job_ended:
        return [f"the next job ({case.next_job}) has not ended"]
    faults = []
    if case.next_job is NextJob.DELETE:
        late = [
            request
            for request in case_record.requests
            if request.call == "create" and request.at > case_record.next_job_ended
        ]
        faults += [
            f"create sent {request.at - case_record.next_job_ended:.2f} s after the delete"
            for request in late
        ]
    expected = expected_versions(case_record)
    if resources.serving not in expected:
        faults.append(f"version {resources.serving} serves and not one of {sorted(expected)}")
    # A resource that never served may stay, as long as it does not run.
    most = 0 if case.next_job is NextJob.DELETE else 1
    if resources.count > most or (resources.running and not resources.serving):
        faults.append(f"{resources.count} resources exist, of which {resources.running} run")
    return faults


def expected_versions(case_record: CaseRecord) -> set[int]:
    """Return the accepted versions, one of which has to serve; 0 stands for none."""
    case = case_record.case
    if case.next_job is NextJob.DELETE:
        return {0}
    if case.next_job is NextJob.YOUNGER:
        return {case.next_version, *_late_version(case_record)}
    if not case_record.had_lock:
        return {case.previous_version}
    becomes_healthy = case.killed_job in (KilledJob.PROVISION, KilledJob.UPDATE)
    expected = case.version if becomes_healthy else case.previous_version
    # Without Landlord's API nobody knows which of the two versions is desired.
    return {expected} if case_record.api else {expected, case.previous_version}


def _late_version(case_record: CaseRecord) -> set[int]:
    """Return the version of a late update by the killed job that may have replaced the younger job's version.

    The late request arrived after the younger job had seen its own version. This target keeps no
    former version, so without Landlord's API nobody can restore the right one.
    """
    case = case_record.case
    is_late = any(
        request.call == "update"
        and request.at < case_record.killed
        and float(str(request.detail["answered"])) > case_record.next_job_ended
        for request in case_record.requests
    )
    return (
        {case.version}
        if is_late and not case_record.api and case.killed_job is KilledJob.UPDATE
        else set()
    )
