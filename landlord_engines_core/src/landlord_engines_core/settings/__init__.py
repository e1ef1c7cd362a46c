"""The settings: their tree, their types, and where each value comes from.

Landlord's own ``config.yaml`` is read as it is; the sections of it that are not a worker's are left
alone. Precedence: defaults < file < environment < flags.
"""

from landlord_engines_core.settings.sources import Loaded, Sources
from landlord_engines_core.settings.tree import LogSettings, Settings, WorkerSettings
from landlord_engines_core.settings.types import Address, Duration, Secret, Url, written

__all__ = [
    "Address",
    "Duration",
    "Loaded",
    "LogSettings",
    "Secret",
    "Settings",
    "Sources",
    "Url",
    "WorkerSettings",
    "written",
]
