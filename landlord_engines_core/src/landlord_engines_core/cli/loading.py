"""Loading the engine and the settings that the options name."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import attrs

from landlord_engines_core.catalog import COMPUTE_ENGINES, WORKER_ENGINES, Candidate, list_engines
from landlord_engines_core.cli.options import Options
from landlord_engines_core.engine import EngineFactory
from landlord_engines_core.errors import SettingsError
from landlord_engines_core.host import WorkerParts, build_worker_for_command
from landlord_engines_core.logs import Logger, configure
from landlord_engines_core.plugins import (
    choose_engine,
    find_compute_settings,
    load_worker_engine,
)
from landlord_engines_core.settings import Loaded, LogSettings, Settings, Sources
from landlord_engines_core.tls import check_certificates

__all__ = [
    "LoadedEngine",
    "build_logger",
    "choose_worker_engine",
    "gather_sources",
    "load_checked_engine",
    "load_engine",
]

FindSettings = Callable[[str], type | None]
"""Function that finds the class of a compute engine's settings, and imports the engine for it."""


@attrs.frozen(kw_only=True)
class LoadedEngine:
    """A worker engine and the settings, as flags, environment and file name them."""

    name: str
    factory: EngineFactory
    loaded: Loaded

    @property
    def settings(self) -> Settings:
        """All settings."""
        return self.loaded.settings

    @asynccontextmanager
    async def open_worker(self) -> AsyncIterator[WorkerParts]:
        """Build a worker for a command that serves nothing; it logs only errors."""
        logger = build_logger("error", self.settings.log)
        async with build_worker_for_command(self.factory, self.settings, logger) as parts:
            yield parts


def load_checked_engine(
    options: Options, find_settings: FindSettings = find_compute_settings
) -> LoadedEngine:
    """Load the engine and the settings, checked as a whole.

    Raises:
        PluginError: The engine cannot be loaded.
        SettingsError: A setting is wrong, or settings do not fit together.
    """
    engine = load_engine(options, find_settings)
    engine.loaded.check()
    return engine


def load_engine(
    options: Options, find_settings: FindSettings = find_compute_settings
) -> LoadedEngine:
    """Load the engine and the settings, each value checked separately.

    Raises:
        PluginError: The engine cannot be loaded.
        SettingsError: A setting is wrong, or no worker engine is named.
    """
    sources = gather_sources(options, find_settings)
    candidate, factory = load_worker_engine(_find_name(options, sources))
    loaded = sources.load(candidate.name, factory.settings_type)
    return LoadedEngine(name=candidate.name, factory=factory, loaded=loaded)


def choose_worker_engine(options: Options) -> Candidate:
    """Choose the engine, and import nothing.

    Raises:
        PluginError: The engine is not installed, ambiguous, or of another major version.
        SettingsError: No worker engine is named.
    """
    return choose_engine(WORKER_ENGINES, _find_name(options, gather_sources(options)))


def _find_name(options: Options, sources: Sources) -> str:
    name = options.engine or sources.default_engine()
    if not name:
        raise SettingsError(
            "no worker engine is named",
            hint="use --engine, or set workflow.default_provider;"
            " `landlord-host engines` lists what is installed",
        )
    return name


def gather_sources(
    options: Options, find_settings: FindSettings = find_compute_settings
) -> Sources:
    """Read the settings file, and gather it with the environment and the flags."""
    check_certificates(_environment())
    # Without the engines' names, COMPUTE_<ENGINE>_<KEY> cannot be split into engine and key.
    engines = {engine.name for engine in list_engines(COMPUTE_ENGINES)}
    return Sources.gather(options.config, _environment(), options.values, engines, find_settings)


def build_logger(level: str, log: LogSettings) -> Logger:
    """Set logging up for this process."""
    environment = _environment()
    # https://no-color.org
    color = not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    return configure(level=level, form=log.format, color=color)


def _environment() -> Mapping[str, str]:
    return os.environ  # noqa: TID251  # the one place that reads it
