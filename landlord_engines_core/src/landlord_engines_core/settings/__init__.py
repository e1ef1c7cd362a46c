"""The settings: their tree, their types, and where each value comes from.

The file may be Landlord's ``config.yaml``; sections for other programs are ignored. Precedence:
defaults < file < environment < flags.
"""

from landlord_engines_core.settings.sources import Loaded, Sources
from landlord_engines_core.settings.tree import (
    ComputeSection,
    LogSettings,
    Settings,
    WorkerSettings,
    check_section,
)
from landlord_engines_core.settings.types import Address, Duration, Secret, Url, format_duration
from landlord_engines_core.settings.unknown_keys import report_unknown

__all__ = [
    "Address",
    "ComputeSection",
    "Duration",
    "Loaded",
    "LogSettings",
    "Secret",
    "Settings",
    "Sources",
    "Url",
    "WorkerSettings",
    "check_section",
    "format_duration",
    "report_unknown",
]
