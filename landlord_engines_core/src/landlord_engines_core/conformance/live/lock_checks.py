"""Live checks of the tenant lock, the record and the resync."""

import asyncio
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_IMODE

from landlord_engines_core.conformance.live.bench import Bench, LiveWorker
from landlord_engines_core.conformance.live.ledger import Entry
from landlord_engines_core.conformance.live.scripts import Script
from landlord_engines_core.conformance.live.worker import RESYNC_AFTER
from landlord_engines_core.conformance.story import RuleBroken
from landlord_engines_core.models import PolledState

__all__ = ["LOCK_CHECKS"]

CANARY = "canary-1b7d44"
OTHERS = 0o077
"""The permissions of everybody but the owner."""

FOLLOW_UP = 1.5
"""Seconds until the follow-up of a resync."""

PUNCTUAL = 0.9
"""The minimum share of a pause that has to pass, because clocks differ a little."""

_ENDED = (PolledState.SUCCEEDED, PolledState.FAILED)

FROZEN = 4.0
"""Seconds for which a worker is frozen; longer than a test's lease."""


async def check_overlap(bench: Bench) -> str:
    """LOCK-1."""
    workers = await _start_two(bench)
    jobs = [f"job-{number}" for number in range(8)]
    for job in jobs:
        await bench.dispatch(Script(job=job, tenant="t", apply=(0.2,), carry=0.1))
        await asyncio.sleep(0.05)
    await bench.wait_ended(jobs[-1])
    await bench.wait_event("completed", job=jobs[-1])
    overlaps = list(_list_overlaps(bench.ledger.read()))
    bench.require(f"{len(overlaps)} changes overlapped: {', '.join(overlaps)}", holds=not overlaps)
    return f"{workers} workers, {len(bench.ledger.read('change begins'))} changes, none overlapped"


def _list_overlaps(entries: Iterable[Entry]) -> Iterator[str]:
    """List the pairs of jobs whose changes overlapped."""
    under_way: dict[str, int] = {}
    for entry in entries:
        if entry.event == "change begins":
            yield from (f"{job} and {entry.job}" for job in under_way if job != entry.job)
            under_way[entry.job] = entry.pid
        elif entry.event == "change ends":
            under_way.pop(entry.job, None)


async def _start_two(bench: Bench) -> int:
    await bench.start()
    return 2 if await bench.start_second() else 1


async def check_preemption(bench: Bench) -> str:
    """LOCK-2."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", apply=(60.0,), carry=1.5))
    await bench.wait_event("request", job="a")
    await bench.dispatch(Script(job="b", tenant="t"))
    await bench.wait_ended("b")
    begun = bench.ledger.read("change begins", job="b")[0]
    ended = (await bench.wait_event("change ends", job="a"))[0]
    bench.require(
        "the lock was passed on while a request of the former holder ran",
        holds=begun.at >= ended.at,
    )
    return f"the lock was passed on {begun.at - ended.at:.2f} s after the request"


async def check_late_job(bench: Bench) -> None:
    """LOCK-3."""
    await bench.start()
    await bench.dispatch(Script(job="older", tenant="t", resolve=1.5))
    await bench.wait_event("attempt begins", job="older")
    await bench.dispatch(Script(job="younger", tenant="t"))
    await bench.wait_ended("younger")
    await bench.wait_event("attempt ends", job="older")
    if bench.ledger.read("request", job="older"):
        raise bench.broken("an older job changed the target after a younger one")


async def check_independence(bench: Bench) -> None:
    """LOCK-4."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", apply=(60.0,)))
    await bench.wait_event("request", job="a")
    await bench.dispatch(Script(job="b", tenant="other"))
    await bench.wait_ended("b")


async def check_start_is_durable(bench: Bench) -> None:
    """LOCK-5."""
    worker = await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", apply=(60.0,)))
    await bench.wait_event("request", job="a")
    worker.signal(signal.SIGKILL)
    await bench.kill("a")
    record = await _read_record(bench)
    if "a" not in record.facts["placements"]:
        raise bench.broken("the record lacks the start of a job that had the lock")


async def check_end_is_durable(bench: Bench) -> None:
    """LOCK-6."""
    worker = await bench.start()
    await bench.dispatch(Script(job="a", tenant="t"))
    await bench.wait_ended("a")
    await bench.dispatch(Script(job="b", tenant="t", operation="delete"))
    await bench.wait_ended("b")
    worker.signal(signal.SIGTERM)
    await bench.wait_exit(worker)
    record = await _read_record(bench)
    if "a" in record.facts["placements"]:
        raise bench.broken("the record has a placement that a completed delete has removed")


async def _read_record(bench: Bench) -> Entry:
    """Return the event in which the tenant's next job, on a new worker, acquires the lock and reads the record."""
    await bench.start()
    await bench.dispatch(Script(job="next", tenant="t"))
    await bench.wait_ended("next")
    return bench.ledger.read("acquired", job="next")[-1]


async def check_late_request(bench: Bench) -> str:
    """LOCK-7."""
    frozen = await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", freeze="applying"))
    await bench.wait_event("freeze at", job="a")
    await bench.kill("a")
    await bench.dispatch(Script(job="b", tenant="t", operation="delete"))
    observed = await _run_during_freeze(bench, frozen, "b")
    await bench.wait_ended("b")
    await bench.wait_event("attempt ends", "refused", "cancelled", job="a")
    if bench.ledger.read("request", job="a"):
        raise bench.broken("a killed job sent a request after it had been frozen")
    return observed


async def check_stall(bench: Bench) -> str:
    """LOCK-8."""
    frozen = await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", freeze="applying"))
    await bench.wait_event("freeze at", job="a")
    observed = await _run_during_freeze(bench, frozen, "a")
    await bench.wait_ended("a")
    # A wrong engine would let the frozen attempt send its request in this second.
    await asyncio.sleep(1.0)
    requests = bench.ledger.read("request", job="a")
    late = [entry for entry in requests if entry.pid == frozen.child.pid]
    if late and len(requests) > 1:
        raise bench.broken("an attempt continued beside its successor after it had been frozen")
    return observed


async def _run_during_freeze(bench: Bench, frozen: LiveWorker, job: str) -> str:
    """Wait until another worker has run a job, or for longer than a lease, and thaw the frozen worker."""
    second = await bench.start_second()
    end_or_freeze = (
        bench.wait_polled(job, *_ENDED, within=FROZEN) if second else asyncio.sleep(FROZEN)
    )
    observed = "another worker did the job meanwhile" if second else "the only worker was frozen"
    try:
        await end_or_freeze
    except RuleBroken:
        observed = "the job waited for the worker"
    bench.ledger.write("goes on", after=observed)
    frozen.signal(signal.SIGCONT)
    return observed


async def check_resync(bench: Bench) -> str:
    """RSY-1."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t"))
    resync = (await bench.wait_event("resync begins", job="a"))[0]
    acquired = bench.ledger.read("acquired", job="a")[0]
    if resync.at - acquired.at < PUNCTUAL * RESYNC_AFTER:
        raise bench.broken("the resync came too early")
    return f"after {resync.at - acquired.at:.2f} s"


async def check_follow_up(bench: Bench) -> str:
    """RSY-2."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", follow_up=FOLLOW_UP))

    async def check() -> list[Entry] | None:
        begins = bench.ledger.read("resync begins", job="a")
        ended = [e for e in bench.ledger.read("resync ends") if e.facts["end"] == "returned"]
        return begins if ended and begins[-1].at > ended[0].at else None

    begins = await bench.wait(check, "the follow-up of a resync was not called")
    again = next((entry for entry in begins if entry.facts["last"]), None)
    if again is None:
        raise bench.broken("the follow-up of a resync was called with another job")
    returned = (entry for entry in bench.ledger.read("resync ends", job="a"))
    ended = next(entry for entry in returned if entry.facts["end"] == "returned")
    pause = again.at - ended.at
    if pause < PUNCTUAL * FOLLOW_UP:
        raise bench.broken(f"the follow-up came after {pause:.2f} s, and not after {FOLLOW_UP} s")
    return f"after {pause:.2f} s"


async def check_resync_of_killed(bench: Bench) -> None:
    """RSY-3."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", apply=(60.0,)))
    await bench.wait_event("request", job="a")
    await bench.kill("a")
    await bench.wait_event("resync begins", job="a")


async def check_resync_yields(bench: Bench) -> str:
    """RSY-4."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", resync=60.0))
    await bench.wait_event("repair begins", job="a")
    await bench.dispatch(Script(job="b", tenant="t"))
    await bench.wait_ended("b")
    begun = bench.ledger.read("change begins", job="b")[0]
    ends = bench.ledger.read("repair ends", job="a")
    if not ends or begun.at < ends[0].at:
        raise bench.broken("a job got the lock while a resync changed the target")
    return f"the resync ended {begun.at - ends[0].at:.2f} s before the job's change"


async def check_modes(bench: Bench) -> str:
    """DISK-1."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant=CANARY))
    await bench.wait_ended("a")
    files = [path for path in sorted(bench.data.rglob("*")) if _holds_canary(path)]
    open_files = [path for path in files if S_IMODE(path.stat().st_mode) & OTHERS]
    if open_files:
        raise bench.broken(
            f"others may read files with jobs: {', '.join(path.name for path in open_files)}"
        )
    return f"files with jobs: {', '.join(path.name for path in files) or 'none'}"


def _holds_canary(path: Path) -> bool:
    return path.is_file() and CANARY.encode() in path.read_bytes()


LOCK_CHECKS = {
    "LOCK-1": check_overlap,
    "LOCK-2": check_preemption,
    "LOCK-3": check_late_job,
    "LOCK-4": check_independence,
    "LOCK-5": check_start_is_durable,
    "LOCK-6": check_end_is_durable,
    "LOCK-7": check_late_request,
    "LOCK-8": check_stall,
    "RSY-1": check_resync,
    "RSY-2": check_follow_up,
    "RSY-3": check_resync_of_killed,
    "RSY-4": check_resync_yields,
    "DISK-1": check_modes,
}
"""The checks by the id of their rule."""
