"""The host: builds a worker from its settings, and runs it in this process.

`worker`, `jobs` and `compute` put the parts together, and `run` drives them. `process` is about signals,
open files and the garbage collector. `Control` passes a signal's request to stop on to the running worker.
"""

from landlord_engines_core.host.compute import build_registry
from landlord_engines_core.host.process import handle_signals
from landlord_engines_core.host.run import NO_LANDLORD_WARNING, run_process, run_worker
from landlord_engines_core.host.worker import WorkerParts, build_worker, build_worker_for_command
from landlord_engines_core.signals import Control, run_async

__all__ = [
    "NO_LANDLORD_WARNING",
    "Control",
    "WorkerParts",
    "build_registry",
    "build_worker",
    "build_worker_for_command",
    "handle_signals",
    "run_async",
    "run_process",
    "run_worker",
]
