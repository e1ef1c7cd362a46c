"""Metrics of a worker for Prometheus; no module outside this package imports prometheus_client.

Labels are words out of fixed sets, and never a tenant, an execution id or a message. All series
exist from the start, at zero. The event loop's thread writes them, and any other thread may read them.
"""

from landlord_engines_core.metrics.caches import CacheMetrics
from landlord_engines_core.metrics.durations import JobDurations
from landlord_engines_core.metrics.engines import EngineMetrics
from landlord_engines_core.metrics.families import Families
from landlord_engines_core.metrics.jobs import JobMetrics
from landlord_engines_core.metrics.worker import WorkerMetrics

__all__ = [
    "CacheMetrics",
    "EngineMetrics",
    "JobDurations",
    "JobMetrics",
    "Metrics",
    "WorkerMetrics",
]


class Metrics:
    """Metrics of one worker, in a separate registry.

    Attributes:
        families: The registry, which renders all metrics.
        jobs: What jobs did here, and how long it took.
        engines: Calls of engines, and their requests to targets.
        caches: Lookups in the caches of Landlord's answers.
        worker: The state of the worker's parts.
    """

    def __init__(self) -> None:
        self.families = Families()
        self.jobs = JobMetrics(self.families)
        self.engines = EngineMetrics(self.families)
        self.caches = CacheMetrics(self.families)
        self.worker = WorkerMetrics(self.families)
