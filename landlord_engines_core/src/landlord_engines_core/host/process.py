"""The process of a worker: its signals, its open files and its garbage collector."""

import gc
from contextlib import AbstractContextManager

from landlord_engines_core.catalog import COMPUTE_ENGINES, WORKER_ENGINES, list_engines
from landlord_engines_core.descriptors import max_connections, raise_limit
from landlord_engines_core.logs import Logger
from landlord_engines_core.plugin_frames import Engines
from landlord_engines_core.signals import Control, signals

__all__ = ["handle_signals", "name_engines", "raise_file_limit", "tune_gc"]

GC_THRESHOLD = 10_000
"""New objects after which the garbage collector runs; Python's default is 700."""


def handle_signals(
    control: Control, logger: Logger, drain_timeout: float | None = None
) -> AbstractContextManager[None]:
    """Handle signals, and report by name an engine that blocks the loop or replaces a handler."""
    return signals(control, logger, engines=name_engines(), drain_timeout=drain_timeout)


def name_engines() -> Engines:
    """Name the engines of each module. A module may have several, whose code is the same."""
    names: dict[str, list[str]] = {}
    for kind, group in (("worker", WORKER_ENGINES), ("compute", COMPUTE_ENGINES)):
        for engine in list_engines(group):
            module = engine.target.partition(":")[0]
            names.setdefault(module, []).append(f"{kind} engine {engine.name}")
    return {module: " or ".join(of_module) for module, of_module in names.items()}


def raise_file_limit(max_concurrent_jobs: int, logger: Logger) -> None:
    """Raise the limit of open files, and warn if it slows jobs down."""
    files = raise_limit()
    connections = max_connections(files)
    is_low = connections < 2 * max_concurrent_jobs
    log = logger.warning if is_low else logger.info
    hint = {"hint": "raise the hard limit of open files, for example to 65536"} if is_low else {}
    log("open files", limit=files, connections=connections, **hint)


def tune_gc() -> None:
    """Run the garbage collector less often, and never over the objects that exist now."""
    # Untuned, it took a tenth of the jobs' time. Jobs leave next to nothing that only the
    # collector could free.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
