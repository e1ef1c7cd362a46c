"""The worker engine ``queue``: a SQLite file as a queue, for any number of processes.

A worker leases a job and extends the lease while it runs. An ended job stays leased until its task has
ended. The tenant lock is passed on after that, or when the lease has expired.
"""

from landlord_engines_core.engine import EngineFactory
from landlord_test_target.queue_engine.backend import local_backend
from landlord_test_target.queue_engine.engine import INFO, QueueSettings, create_engine

__all__ = ["factory"]

factory = EngineFactory(
    info=INFO,
    settings_type=QueueSettings,
    create_engine=create_engine,
    local_backend=local_backend,
)
