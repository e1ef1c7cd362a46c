"""The settings: their tree, their types, and where each value comes from.

The file may be Landlord's ``config.yaml``; sections for other programs are ignored. Precedence:
defaults < file < environment < flags.
"""

from landlord_engines_core.settings.sources import Loaded, Sources
from landlord_engines_core.settings.tree import LogSettings, Settings, WorkerSettings
from landlord_engines_core.settings.types import Address, Duration, Secret, Url, format_duration

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
    "format_duration",
]
