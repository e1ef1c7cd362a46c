"""The report of a campaign, as text for people and for the documents."""

from collections import Counter
from math import inf
from statistics import median

from landlord_test_target.faults.fault import Fault
from landlord_test_target.faults.freezes import FROZEN
from landlord_test_target.faults.injector import Injector
from landlord_test_target.faults.judge import Finding, Judge
from landlord_test_target.faults.load import Load

__all__ = ["ORACLES", "report"]

ORACLES = (
    *("lost", "wrong", "doubled", "left over", "stuck", "failed", "not recorded"),
    *("left in Restate", "acted late", "slow"),
)


def report(load: Load, injector: Injector, judge: Judge, findings: list[Finding]) -> str:
    """Summarise a campaign in a few lines."""
    faults = injector.fault_times.faults
    kills = [fault for fault in faults if fault.is_kill]
    frozen = [fault for fault in faults if fault.kind == FROZEN]
    late, clocks = injector.campaign.late_dispatcher.sent, injector.campaign.clocks
    counts = Counter(finding.oracle for finding in findings)
    lines = (
        f"seed {load.seed}: {len(load.operations)} operations on {len(load.tenants)} tenants",
        f"{len(kills)} kills, {sum(kill.hit_call for kill in kills)} with a call in flight",
        f"{len(frozen)} freezes of {_durations(frozen)}",
        f"{len(late)} jobs were late; {len(clocks.skewed)} had a clock {clocks.seconds:g} s apart",
        f"{injector.versions.flips if injector.versions else 0} times the latest version changed",
        f"restate-server started again after {injector.restarts} full disks",
        _format_counts("operations", Counter(operation.kind for operation in load.operations)),
        _format_counts("refused by Landlord", load.refused),
        _format_counts("faults (during a call)", _count_faults(injector)),
        _count_jobs(judge),
        _recovery_times(judge),
        f"given up by Landlord itself: {len(judge.given_up)}",
        ", ".join(f"{counts[oracle]} {oracle}" for oracle in ORACLES),
        f"of these found only by the second check: {sum(finding.late for finding in findings)}",
        f"requests for removed tenants: {judge.acted_late}, of which freezes excuse {judge.excused}",
    )
    return "\n".join(lines)


def _durations(frozen: list[Fault]) -> str:
    if not frozen:
        return "0 s"
    seconds = sorted(freeze.recovered - freeze.at for freeze in frozen)
    return f"{seconds[0]:.0f} to {seconds[-1]:.0f} s"


def _format_counts(title: str, counts: Counter[str]) -> str:
    return f"{title}: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _count_faults(injector: Injector) -> Counter[str]:
    all_of = Counter(fault.kind for fault in injector.fault_times.faults)
    landed = Counter(fault.kind for fault in injector.fault_times.faults if fault.hit_call)
    return Counter({f"{kind} ({landed[kind]})": count for kind, count in all_of.items()})


def _count_jobs(judge: Judge) -> str:
    outcomes = Counter(row["outcome"] for row in judge.ledger)
    ended = Counter(str(job.get("completion_result")) for job in judge.jobs)
    return (
        f"jobs: {len(judge.jobs)}, of which {ended['success']} ended by themselves,"
        f" {len(judge.preempted)} of them preempted by a newer one\n"
        f"calls to the target: {outcomes['received']},"
        f" of which {outcomes['failed']} failed and {outcomes['lost']} lost their answer"
    )


def _recovery_times(judge: Judge) -> str:
    # An operation that ended before the killed process was back has no recovery time.
    taken = [took for _, _, took in judge.measure().after_one_kill() if took]
    if not taken:
        return "no operation with exactly one kill"
    long = [
        took for fault, _, took in judge.measure().after_one_kill() if fault.kind.endswith(" s")
    ]
    after = f", {max(long):.1f} s after a long outage ({len(long)})" if long else ""
    return (
        f"{len(taken)} operations with exactly one kill were done after"
        f" {median(taken):.1f} s (median), at most {max(taken, default=inf):.1f} s{after}"
    )
