"""The host: builds a worker from its settings, and runs it in this process.

`worker`, `jobs` and `compute` put the parts together, `run` drives them, and `process` is about
signals, open files and the garbage collector.
"""

from landlord_engines_core.host.compute import build_registry
from landlord_engines_core.host.process import handle_signals
from landlord_engines_core.host.run import WITHOUT_LANDLORD, run_process, run_worker
from landlord_engines_core.host.worker import WorkerParts, build_idle_worker, build_worker
from landlord_engines_core.signals import Control, run_async

__all__ = [
    "WITHOUT_LANDLORD",
    "Control",
    "WorkerParts",
    "build_idle_worker",
    "build_registry",
    "build_worker",
    "handle_signals",
    "run_async",
    "run_process",
    "run_worker",
]
