"""Live checks of a worker's life, its registration and its jobs."""

import asyncio
import random
import signal

from landlord_engines_core.conformance.live.bench import Bench
from landlord_engines_core.conformance.live.jobs import HELD_PAUSE
from landlord_engines_core.conformance.live.ledger import Entry
from landlord_engines_core.conformance.live.scripts import POINTS, Script
from landlord_engines_core.engine import RegistrationState
from landlord_engines_core.models import PolledState

__all__ = ["JOB_CHECKS"]

PUNCTUAL = 0.9
"""The part of a pause that has to pass: clocks differ a little."""

QUIET = 2.0
"""Seconds for which a job that has ended is watched."""

LATENESS = 10.0
"""Seconds by which an attempt may come late on a busy machine."""

DRAIN_BEGINS = 1.0
"""Seconds in which a drain stops the intake of jobs."""

FIRST_PAUSE = 0.4
"""Seconds of the first pause after a transient failure, at least."""

THIRD_PAUSE = 0.75
"""Seconds of the third one, at least. A busy machine makes any of them longer, so they are not compared."""


async def check_serve(bench: Bench) -> None:
    """Check LIFE-4: `serve` calls `started` once, and returns after `shutdown`."""
    worker = await bench.start()
    worker.signal(signal.SIGTERM)
    await bench.wait_exit(worker)
    counts = {event: len(bench.ledger.read(event)) for event in ("started", "serve returned")}
    if counts != {"started": 1, "serve returned": 1}:
        raise bench.broken(f"calls of started, and returns of serve: {counts}", worker)


async def check_signal(bench: Bench) -> None:
    """Check SIG-2: SIGTERM of a serving worker begins the drain, and the worker exits with 0."""
    worker = await bench.start()
    await bench.dispatch(Script(job="a", tenant="t"))
    await bench.wait_ended("a")
    worker.signal(signal.SIGTERM)
    code = await bench.wait_exit(worker)
    if code or not bench.ledger.read("draining"):
        raise bench.broken(f"SIGTERM ended the worker with exit code {code}", worker)


async def check_register(bench: Bench) -> None:
    """Check REG-1: `register` answers `registered` for a serving worker, and a second time too."""
    await _check_note(bench, "register again")


async def check_dry_run(bench: Bench) -> None:
    """Check REG-2: `dry_run_registration` answers before `serve`."""
    await bench.start()
    (note,) = bench.ledger.read("dry run")
    if "error" in note.facts:
        raise bench.broken("a dry run before serve failed")


async def check_watch(bench: Bench) -> None:
    """Check REG-3: `watch_registration` answers `registered` for a registered worker."""
    await _check_note(bench, "watch")


async def _check_note(bench: Bench, event: str) -> None:
    await bench.start()
    (note,) = bench.ledger.read(event)
    if note.facts.get("state") != RegistrationState.REGISTERED:
        raise bench.broken(f"{event!r} of a registered worker did not answer registered")


async def check_body(bench: Bench) -> None:
    """Check JOB-1: `run_job` gets the bytes of the body that was dispatched."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t \u00e9\u4e2d"))
    attempt = (await bench.wait_event("attempt begins", job="a"))[0]
    (sent,) = bench.ledger.read("dispatched", job="a")
    bench.require(
        "run_job got another body than was dispatched",
        holds=attempt.facts["body"] == sent.facts["body"],
    )


async def check_execution_id(bench: Bench) -> None:
    """Check JOB-2: `Steps.execution_id` is the id that the dispatcher returned."""
    await bench.start()
    sent = await bench.dispatch(Script(job="a", tenant="t", fail=("transient 0.1",) * 2))
    attempts = await bench.wait_event("attempt begins", job="a", count=3)
    if {attempt.facts["execution"] for attempt in attempts} != {sent}:
        raise bench.broken(f"the attempts have other execution ids than {sent}")


async def check_success(bench: Bench) -> None:
    """Check JOB-3: a job whose `run_job` returns is read as succeeded."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t"))
    ends = (PolledState.SUCCEEDED, PolledState.FAILED)
    polled = await bench.wait_polled("a", *ends)
    if polled.state is not PolledState.SUCCEEDED or not bench.ledger.read("completed"):
        raise bench.broken(f"a job that succeeded is read as {polled.state}")


async def check_invalid(bench: Bench) -> None:
    """Check JOB-4: `InvalidJob` ends the job: it is read as ended, and not tried again."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", fail=("invalid",)))
    await bench.wait_polled("a", PolledState.SUCCEEDED, PolledState.FAILED)
    await asyncio.sleep(QUIET)
    if bench.ledger.read("request"):
        raise bench.broken("a job that is invalid was tried again")


async def check_held(bench: Bench) -> str:
    """Check JOB-5: `Held` keeps the job open, and the backend tries it after `retry_after`."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", fail=("held",) * 2))
    await bench.wait_polled("a", PolledState.BACKING_OFF)
    return await _check_pauses(bench, [HELD_PAUSE] * 2)


async def check_transient(bench: Bench) -> None:
    """Check JOB-6: `Transient` never ends a job."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", fail=("transient",) * 2))
    await bench.wait_event("completed", job="a")
    await bench.wait_ended("a")


async def check_growing_pauses(bench: Bench) -> str:
    """Check JOB-7: the pauses after `Transient` grow from about 0.5 s."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", fail=("transient",) * 3))
    pauses = await _measure_pauses(bench, 3)
    if pauses[0] < FIRST_PAUSE or pauses[2] < THIRD_PAUSE:
        raise bench.broken(f"the pauses do not grow from 0.5 s: {_format_pauses(pauses)}")
    return _format_pauses(pauses)


async def check_retry_after(bench: Bench) -> str:
    """Check JOB-8: the next attempt comes after the `retry_after` of a `Transient`."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", fail=("transient 2.0", "transient 0.3")))
    return await _check_pauses(bench, [2.0, 0.3])


async def _check_pauses(bench: Bench, expected_pauses: list[float]) -> str:
    pauses = await _measure_pauses(bench, len(expected_pauses))
    for pause, named in zip(pauses, expected_pauses, strict=True):
        if not PUNCTUAL * named <= pause <= named + LATENESS:
            raise bench.broken(
                f"the pauses are {_format_pauses(pauses)}, and retry_after {_format_pauses(expected_pauses)}"
            )
    return _format_pauses(pauses)


async def _measure_pauses(bench: Bench, count: int) -> list[float]:
    """Measure the time from each failure to the next attempt."""
    await bench.wait_event("completed", job="a")
    failures = bench.ledger.read("failing", job="a")[:count]
    begins = [entry.at for entry in bench.ledger.read("attempt begins", job="a")]
    return [min(at for at in begins if at > failure.at) - failure.at for failure in failures]


def _format_pauses(pauses: list[float]) -> str:
    return ", ".join(f"{pause:.2f} s" for pause in pauses)


async def check_step_value(bench: Bench) -> None:
    """Check JOB-9: `Steps.run` returns the value of its action."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t"))
    await bench.wait_ended("a")
    ended = {e.facts["step"]: e.facts["value"] for e in bench.ledger.read("action ends")}
    facts_by_step = {e.facts["step"]: e.facts["value"] for e in bench.ledger.read("step")}
    if ended != facts_by_step:
        raise bench.broken("a step returned another value than its action")


async def check_waiting_job(bench: Bench) -> None:
    """Check JOB-10: a job that was dispatched while no worker ran is done by the next worker."""
    await bench.start()
    await _stop(bench)
    await bench.dispatch(Script(job="a", tenant="t"))
    await bench.start()
    await bench.wait_ended("a")


async def check_cuts(bench: Bench) -> str:
    """Check JOB-11: a job goes on after kill -9 between any two calls of `Steps`."""
    scripts = [Script(job=f"at-{point}", tenant=f"t-{point}", die=point) for point in POINTS]
    await bench.start()
    for script in scripts:
        await bench.dispatch(script)
    await _restart_until_ended(bench, [script.job for script in scripts])
    died = [str(entry.facts["point"]) for entry in bench.ledger.read("die at")]
    return f"killed at {', '.join(died)}"


async def check_random_kills(bench: Bench) -> str:
    """Check JOB-12: jobs go on after kill -9 at random times."""
    chance = random.Random(1)  # noqa: S311  # the same times in each run
    jobs = [f"job-{number}" for number in range(6)]
    await bench.start()
    for job in jobs:
        await bench.dispatch(Script(job=job, tenant=job, apply=(0.3,)))
    after = [chance.uniform(0.0, 0.8) for _ in range(3)]
    for pause in after:
        await asyncio.sleep(pause)
        bench.workers[-1].signal(signal.SIGKILL)
        bench.workers[-1].child.process.join()
        await bench.start()
    await _restart_until_ended(bench, jobs)
    return f"killed after {_format_pauses(after)}"


async def _restart_until_ended(bench: Bench, jobs: list[str]) -> None:
    """Start the worker again whenever it has died, until the jobs have succeeded."""

    async def check() -> bool | None:
        if bench.workers[-1].has_ended:
            bench.ledger.write("worker died")
            await bench.start()
        states = [(await bench.poll(job)).state for job in jobs]
        return True if set(states) == {PolledState.SUCCEEDED} else None

    await bench.wait(check, f"not all of the jobs {', '.join(jobs)} ended", 2 * bench.patience)
    await _expect_ends(bench, jobs)


async def _expect_ends(bench: Bench, jobs: list[str]) -> None:
    """Expect that each job has written its end into the record."""
    for job in jobs:
        if not bench.ledger.read("completed", job=job) and not bench.ledger.read("die at", job=job):
            raise bench.broken(f"job {job} is read as succeeded, and never wrote its end")


async def check_kill(bench: Bench) -> str:
    """Check JOB-13: a job that Landlord kills is cancelled, read as ended, and not tried again."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", apply=(60.0,)))
    await bench.wait_event("request", job="a")
    await bench.kill("a")
    end = (await bench.wait_event("change ends", job="a"))[0]
    await bench.wait_polled("a", PolledState.FAILED, PolledState.SUCCEEDED)
    await asyncio.sleep(QUIET)
    (answered,) = bench.ledger.read("kill answered")
    if any(entry.at > answered.at for entry in bench.ledger.read("attempt begins")):
        raise bench.broken("a killed job was tried again")
    return f"stopped after {end.at - answered.at:.2f} s"


async def check_journal(bench: Bench) -> None:
    """Check JOB-14: a finished step does not run again, and a later attempt gets its value."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", fail=("transient 0.1",)))
    await bench.wait_ended("a")
    ran = [e for e in bench.ledger.read("action ends", job="a") if e.facts["step"] == "resolve"]
    values = {e.facts["value"] for e in bench.ledger.read("step") if e.facts["step"] == "resolve"}
    if len(ran) != 1 or values != {ran[0].facts["value"]}:
        raise bench.broken("a finished step ran again, or returned another value")


async def check_lost_attempts(bench: Bench) -> str:
    """Check JOB-15: `Steps.lost_attempts` never fails."""
    await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", die="acquired"))
    await _restart_until_ended(bench, ["a"])
    begun = len(bench.ledger.read("attempt begins", job="a"))
    counted = bench.ledger.read("lost attempts", job="a")
    if len(counted) != begun:
        raise bench.broken("lost_attempts raised an error")
    return f"lost: {max(entry.facts['count'] for entry in counted)}"


async def _stop(bench: Bench) -> None:
    bench.workers[-1].signal(signal.SIGTERM)
    await bench.wait_exit(bench.workers[-1])


def _of(entries: list[Entry], pid: int) -> list[Entry]:
    return [entry for entry in entries if entry.pid == pid]


async def check_drain_waits(bench: Bench) -> None:
    """Check DRAIN-1: a drain lets a running step finish within its time."""
    worker = await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", apply=(1.5,)))
    await bench.wait_event("request", job="a")
    worker.signal(signal.SIGTERM)
    code = await bench.wait_exit(worker)
    # A backend with a journal continues behind the step with the next worker.
    if code or bench.ledger.read("cancelled") or not bench.ledger.read("change ends"):
        raise bench.broken(f"a drain cut a step that had time (exit code {code})", worker)


async def check_drain_takes_nothing(bench: Bench) -> None:
    """Check DRAIN-2: a worker begins no job later than 1 s after its drain has begun."""
    worker = await bench.start()
    await bench.dispatch(Script(job="a", tenant="t", apply=(3.0,)))
    await bench.wait_event("request", job="a")
    worker.signal(signal.SIGTERM)
    await bench.wait_event("draining")
    await asyncio.sleep(DRAIN_BEGINS)
    await bench.dispatch(Script(job="b", tenant="other"))
    await bench.wait_exit(worker)
    if _of(bench.ledger.read("attempt begins", job="b"), worker.child.pid):
        raise bench.broken("a worker began a job during its drain", worker)
    await bench.start()
    await bench.wait_ended("a", "b")


async def check_drain_deadline(bench: Bench) -> None:
    """Check DRAIN-3: a step that a drain's deadline cuts is no end of its job."""
    worker = await bench.start(drain=0.5)
    await bench.dispatch(Script(job="a", tenant="t", apply=(60.0, 0.0)))
    await bench.wait_event("request", job="a")
    worker.signal(signal.SIGTERM)
    code = await bench.wait_exit(worker)
    if code:
        raise bench.broken(f"a drain that cut a step ended with exit code {code}", worker)
    await bench.start()
    await bench.wait_event("completed", job="a")
    await bench.wait_ended("a")


async def check_second_signal(bench: Bench) -> None:
    """Check DRAIN-4: a job that a second signal cuts goes on with the next worker."""
    worker = await bench.start(drain=30.0)
    await bench.dispatch(Script(job="a", tenant="t", apply=(60.0, 0.0)))
    await bench.wait_event("request", job="a")
    worker.signal(signal.SIGTERM)
    await bench.wait_event("draining")
    worker.signal(signal.SIGTERM)
    await bench.wait_exit(worker)
    await bench.start()
    await bench.wait_event("completed", job="a")
    await bench.wait_ended("a")


JOB_CHECKS = {
    "LIFE-4": check_serve,
    "SIG-2": check_signal,
    "REG-1": check_register,
    "REG-2": check_dry_run,
    "REG-3": check_watch,
    "JOB-1": check_body,
    "JOB-2": check_execution_id,
    "JOB-3": check_success,
    "JOB-4": check_invalid,
    "JOB-5": check_held,
    "JOB-6": check_transient,
    "JOB-7": check_growing_pauses,
    "JOB-8": check_retry_after,
    "JOB-9": check_step_value,
    "JOB-10": check_waiting_job,
    "JOB-11": check_cuts,
    "JOB-12": check_random_kills,
    "JOB-13": check_kill,
    "JOB-14": check_journal,
    "JOB-15": check_lost_attempts,
    "DRAIN-1": check_drain_waits,
    "DRAIN-2": check_drain_takes_nothing,
    "DRAIN-3": check_drain_deadline,
    "DRAIN-4": check_second_signal,
}
"""The checks by the id of their rule."""
