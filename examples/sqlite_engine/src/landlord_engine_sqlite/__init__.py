"""The worker engine ``sqlite``: a durable queue in a SQLite file, for several workers on one machine.

A worker leases a job and extends the lease while it runs. An ended job stays leased until its task has
ended. The tenant lock is passed on after that, or when the lease has expired.
"""

from landlord_engine_sqlite.backend import local_backend
from landlord_engine_sqlite.engine import INFO, SqliteSettings, create_engine
from landlord_engines_core.api import EngineFactory

__all__ = ["factory"]

factory = EngineFactory(
    info=INFO,
    settings_type=SqliteSettings,
    create_engine=create_engine,
    local_backend=local_backend,
)
"""The engine: a task for each job that this process has leased."""
