"""Worker engine whose backend is a SQLite file: an example, and a test bench of the contract."""

from landlord_engine_direct.backend import local_backend
from landlord_engine_direct.engine import INFO, DirectSettings, create_engine
from landlord_engines_core.api import EngineFactory

__all__ = ["factory"]

factory = EngineFactory(
    info=INFO,
    settings_type=DirectSettings,
    create_engine=create_engine,
    local_backend=local_backend,
)
"""The target of the entry point ``direct``."""
