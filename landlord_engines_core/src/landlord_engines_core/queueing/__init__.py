"""Parts of a worker engine whose backend is a queue: attempts, tasks, leases, holders and resyncs.

A queue has no journal and calls nobody. Each such engine therefore writes the same parts: pauses between
attempts, a task for each job, leases, the order of two jobs, and delayed resyncs.
"""

from landlord_engines_core.queueing.attempts import (
    Ended,
    Refused,
    Retry,
    growing_pause,
    run_attempt,
)
from landlord_engines_core.queueing.holders import describe_holder, order_time, refuse_superseded
from landlord_engines_core.queueing.leases import Lease
from landlord_engines_core.queueing.resyncs import plan_resync
from landlord_engines_core.queueing.tasks import JobTasks, pause

__all__ = [
    "Ended",
    "JobTasks",
    "Lease",
    "Refused",
    "Retry",
    "describe_holder",
    "growing_pause",
    "order_time",
    "pause",
    "plan_resync",
    "refuse_superseded",
    "run_attempt",
]
