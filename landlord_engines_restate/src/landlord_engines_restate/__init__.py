"""The Landlord worker engine for Restate."""

from landlord_engines_core.engine import EngineFactory
from landlord_engines_restate.engine import INFO, RestateEngine, create_engine
from landlord_engines_restate.local.backends import container_backend, local_backend
from landlord_engines_restate.settings import RestateSettings

__all__ = ["RestateEngine", "RestateSettings", "factory"]

__version__ = "0.1.0"

factory = EngineFactory(
    info=INFO,
    settings_type=RestateSettings,
    create_engine=create_engine,
    local_backend=local_backend,
    other_local_backends={"container": container_backend},
)
"""Target of the entry point ``restate``."""
