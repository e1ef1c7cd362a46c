"""The samples of a soak, and the check that they stay steady."""

from collections.abc import Sequence
from statistics import linear_regression

import attrs
import psutil

from benchmarks.soak.churn import Churn
from landlord_engines_restate.admin import literal
from landlord_engines_restate.local.server import RestateServer

__all__ = ["JUDGED_FROM", "LIMITS", "Sample", "find_rises", "slope", "take_sample"]

SMALL_RISE = 64 * 1024

LIMITS = {
    "rss": SMALL_RISE,
    "uss": SMALL_RISE,
    "files": 1.0,
    "tasks": 0.2,
    "engine_cache": 1.0,
    "defaults_cache": 0.2,
    "state_rows": 10.0,
    "state_bytes": SMALL_RISE,
}
"""The highest rise of each value in a thousand jobs.

- Memory: 65 bytes per job. The smallest leak in Python, a job's id as text, takes 80 or more. Memory
  kept by malloc varies by a MiB between samples, which moves the slope by a third of that.
- Bytes of state: A sixth of a transition per job.
- Entries: Each sample counts them exactly, and the number of tenants varies by a few dozen.
- Connections: Up to twenty come and go.
"""

JUDGED_FROM = 50_000
"""Jobs from which a run is judged: in fewer the cache does not reach its bound in the first half."""


@attrs.frozen(kw_only=True)
class Sample:
    """One sample, taken while no job was open.

    Attributes:
        jobs: The number of jobs so far.
        seconds: Seconds since the start.
        rss: Bytes of the worker's memory.
        uss: Bytes of the worker's memory that no other process shares.
        files: The worker's open file descriptors.
        tasks: Tasks in the worker's event loop.
        engine_cache: The worker's cached answers about tenants.
        defaults_cache: The worker's cached answers about compute engines.
        state_rows: Entries in the state of all locks.
        state_bytes: Bytes of these entries' values.
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


async def take_sample(churn: Churn, server: RestateServer, seconds: float) -> Sample:
    """Take a sample of the worker's process and metrics, of the locks, and of restate-server."""
    process = churn.worker.process
    memory = process.memory_full_info()
    metrics = await _read_metrics(churn)
    rows, size = await read_state(churn)
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
        server_rss=_find_server_process(server).memory_info().rss,
        server_disk=sum(file.stat().st_size for file in server.folder.rglob("*") if file.is_file()),
    )


async def read_state(churn: Churn) -> tuple[int, int]:
    """Return the number of entries in the locks, and the bytes of their values."""
    (row,) = await churn.admin.query(
        "SELECT count(*) AS entries, sum(octet_length(value_utf8)) AS size FROM state"  # noqa: S608  # quoted
        f" WHERE service_name = {literal(churn.worker.service + 'Tenant')}"
    )
    return int(str(row["entries"])), int(str(row.get("size", 0)))


def slope(samples: Sequence[Sample], name: str) -> float:
    """Return a value's rise in a thousand jobs, by a least-squares line over the second half."""
    half = samples[-1].jobs / 2
    later = [sample for sample in samples if sample.jobs >= half]
    if len(later) == 1:
        return 0.0
    thousands = [sample.jobs / 1000 for sample in later]
    return linear_regression(thousands, [float(getattr(sample, name)) for sample in later]).slope


def find_rises(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the values that rise by more than their limit, with the rise; empty for a short run."""
    if samples[-1].jobs < JUDGED_FROM:
        return {}
    slopes = {name: slope(samples, name) for name in LIMITS}
    return {name: value for name, value in slopes.items() if value > LIMITS[name]}


async def _read_metrics(churn: Churn) -> dict[str, int]:
    async with churn.http.get(f"{churn.worker.probes}/metrics") as response:
        lines = (await response.text()).splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("landlord_worker_"))
    return {name: round(float(value)) for name, value in pairs}


def _find_server_process(server: RestateServer) -> psutil.Process:
    folder = str(server.folder)
    (process,) = (
        child
        for child in psutil.Process().children()
        if any(folder in word for word in child.cmdline())
    )
    return process
