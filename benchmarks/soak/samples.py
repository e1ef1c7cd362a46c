"""The values that a soak samples, and their limits."""

from collections.abc import Sequence
from statistics import linear_regression

import attrs
import psutil

from benchmarks.soak.churn import Churn
from landlord_engines_restate.admin import literal
from landlord_engines_restate.local.server import RestateServer

__all__ = ["JUDGED_FROM", "LIMITS", "Sample", "look", "rises", "slope"]

SMALL = 64 * 1024

LIMITS = {
    "rss": SMALL,
    "uss": SMALL,
    "files": 1.0,
    "tasks": 0.2,
    "engine_cache": 1.0,
    "defaults_cache": 0.2,
    "state_rows": 10.0,
    "state_bytes": SMALL,
}
"""Largest rise of each value in a thousand jobs.

- Memory: 65 bytes a job. The id of a job as text, the least that Python could keep of it, takes 80 or
  more. The memory that malloc holds differs by a MiB from look to look, which moves the slope by a third
  of that.
- Bytes of state: a sixth of a transition a job.
- Entries: each look counts them exactly. The number of tenants at a look differs by a few dozen.
- Files: up to twenty connections open and close.
"""

JUDGED_FROM = 50_000
"""Smallest number of jobs for a judgement: with fewer the cache is not full at half the run."""


@attrs.frozen(kw_only=True)
class Sample:
    """Values at one look, while no invocation runs.

    Attributes:
        jobs: Number of jobs before the look.
        seconds: Seconds since the start.
        rss: Bytes of the worker's memory.
        uss: Bytes of it that no other process shares.
        files: The worker's open file descriptors.
        tasks: Tasks in the worker's event loop.
        engine_cache: Cached answers about tenants.
        defaults_cache: Cached answers about compute engines.
        state_rows: Entries in the state of all locks.
        state_bytes: Bytes of their values.
        server_rss: Bytes of restate-server's memory.
        server_disk: Bytes of restate-server's files.
    """

    jobs: int
    seconds: float
    rss: int
    uss: int
    files: int
    tasks: int
    engine_cache: int
    defaults_cache: int
    state_rows: int
    state_bytes: int
    server_rss: int
    server_disk: int


async def look(churn: Churn, server: RestateServer, seconds: float) -> Sample:
    """Look at the worker from outside, at its metrics, at the locks, and at restate-server."""
    process = churn.worker.process
    memory = process.memory_full_info()
    metrics = await _metrics(churn)
    rows, size = await state(churn)
    return Sample(
        jobs=churn.jobs,
        seconds=seconds,
        rss=memory.rss,
        uss=memory.uss,
        files=process.num_fds(),
        tasks=metrics["landlord_worker_loop_tasks"],
        engine_cache=metrics['landlord_worker_cache_entries{cache="engine"}'],
        defaults_cache=metrics['landlord_worker_cache_entries{cache="defaults"}'],
        state_rows=rows,
        state_bytes=size,
        server_rss=_process_of(server).memory_info().rss,
        server_disk=sum(each.stat().st_size for each in server.folder.rglob("*") if each.is_file()),
    )


async def state(churn: Churn) -> tuple[int, int]:
    """Count the entries of the locks' state, and the bytes of their values."""
    (row,) = await churn.admin.query(
        "SELECT count(*) AS entries, sum(octet_length(value_utf8)) AS size FROM state"  # noqa: S608  # quoted
        f" WHERE service_name = {literal(churn.worker.service + 'Tenant')}"
    )
    return int(str(row["entries"])), int(str(row.get("size", 0)))


def slope(samples: Sequence[Sample], name: str) -> float:
    """Return a value's rise in a thousand jobs: a least-squares line over the second half."""
    half = samples[-1].jobs / 2
    later = [each for each in samples if each.jobs >= half]
    if len(later) == 1:
        return 0.0
    thousands = [each.jobs / 1000 for each in later]
    return linear_regression(thousands, [float(getattr(each, name)) for each in later]).slope


def rises(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the slopes above their limit; none where the run is too short."""
    if samples[-1].jobs < JUDGED_FROM:
        return {}
    slopes = {name: slope(samples, name) for name in LIMITS}
    return {name: value for name, value in slopes.items() if value > LIMITS[name]}


async def _metrics(churn: Churn) -> dict[str, int]:
    async with churn.http.get(f"{churn.worker.probes}/metrics") as response:
        lines = (await response.text()).splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("landlord_worker_"))
    return {name: round(float(value)) for name, value in pairs}


def _process_of(server: RestateServer) -> psutil.Process:
    folder = str(server.folder)
    (process,) = (
        each
        for each in psutil.Process().children()
        if any(folder in word for word in each.cmdline())
    )
    return process
