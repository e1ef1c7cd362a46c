"""The worker engine ``queue``: a SQLite file as a queue, for any number of processes.

Who works on a job has a lease of it and extends it. A job that is over stays leased until its task
has ended; only then, or when the lease has run out, is its tenant's lock passed on.
"""

from landlord_engines_core.engine import EngineFactory
from landlord_test_target.queue_engine.engine import QueueSettings, create_engine

__all__ = ["factory"]

factory = EngineFactory(settings_type=QueueSettings, create_engine=create_engine)
