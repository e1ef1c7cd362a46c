"""What is looked at during a soak, and whether it stays the same."""

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
"""By how much each may rise in a thousand jobs.

Memory: 65 bytes a job; the least that Python could keep of one, its id as text, takes 80 and more.
What malloc holds differs by a MiB from look to look, which moves the slope by a third of that.
Bytes of state: a sixth of a transition a job. Entries: they are counted exactly at each look, and
how many tenants there are just then differs by a few dozen. Connections come and go, up to twenty.
"""

JUDGED_FROM = 50_000
"""Jobs from which a run is judged: in fewer the cache does not reach its bound in the first half."""


@attrs.frozen(kw_only=True)
class Sample:
    """What was seen while nothing was under way.

    Attributes:
        jobs: Jobs until then.
        seconds: Since the start.
        rss: Bytes of the worker's memory.
        uss: Those of them that are the worker's alone.
        files: The worker's open file descriptors.
        tasks: Tasks in the worker's event loop.
        engine_cache: Answers about tenants that the worker keeps.
        defaults_cache: Answers about compute engines that it keeps.
        state_rows: Entries in the state of all locks.
        state_bytes: Their values.
        server_rss: Bytes of restate-server's memory.
        server_disk: Bytes that restate-server wrote and kept.
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
    shown = await _metrics(churn)
    rows, size = await state(churn)
    return Sample(
        jobs=churn.jobs,
        seconds=seconds,
        rss=memory.rss,
        uss=memory.uss,
        files=process.num_fds(),
        tasks=shown["landlord_worker_loop_tasks"],
        engine_cache=shown['landlord_worker_cache_entries{cache="engine"}'],
        defaults_cache=shown['landlord_worker_cache_entries{cache="defaults"}'],
        state_rows=rows,
        state_bytes=size,
        server_rss=_process_of(server).memory_info().rss,
        server_disk=sum(one.stat().st_size for one in server.folder.rglob("*") if one.is_file()),
    )


async def state(churn: Churn) -> tuple[int, int]:
    """The number of entries that the locks keep, and the bytes of their values."""
    (found,) = await churn.admin.query(
        "SELECT count(*) AS entries, sum(octet_length(value_utf8)) AS size FROM state"  # noqa: S608  # quoted
        f" WHERE service_name = {literal(churn.worker.service + 'Tenant')}"
    )
    return int(str(found["entries"])), int(str(found.get("size", 0)))


def slope(samples: Sequence[Sample], name: str) -> float:
    """By how much something rises in a thousand jobs: a least-squares line over the second half."""
    half = samples[-1].jobs / 2
    later = [one for one in samples if one.jobs >= half]
    if len(later) == 1:
        return 0.0
    thousands = [one.jobs / 1000 for one in later]
    return linear_regression(thousands, [float(getattr(one, name)) for one in later]).slope


def rises(samples: Sequence[Sample]) -> dict[str, float]:
    """What rises by more than its limit, and by how much; nothing where the run is too short."""
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
        one for one in psutil.Process().children() if any(folder in word for word in one.cmdline())
    )
    return process
