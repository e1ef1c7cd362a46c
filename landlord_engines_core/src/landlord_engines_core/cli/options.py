"""The options before the subcommand, and the engine and settings that follow from them."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from landlord_engines_core.catalog import COMPUTE_ENGINES, WORKER_ENGINES, Candidate, list_engines
from landlord_engines_core.engine import EngineFactory
from landlord_engines_core.errors import SettingsError
from landlord_engines_core.host import WorkerParts, build_idle_worker
from landlord_engines_core.logs import Logger, configure
from landlord_engines_core.plugins import (
    choose_engine,
    find_compute_settings,
    load_worker_engine,
)
from landlord_engines_core.settings import Loaded, LogSettings, Settings, Sources
from landlord_engines_core.tls import check_certificates

__all__ = ["LoadedEngine", "Options", "build_logger", "read_assignment"]


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
        async with build_idle_worker(self.factory, self.settings, logger) as parts:
            yield parts


@attrs.frozen(kw_only=True)
class Options:
    """The options before the subcommand.

    Attributes:
        engine: The worker engine's name, if given.
        config: The settings file, if given.
        values: Values of single settings, by path.
        fail_fast: Whether to give up if registering takes too long.
        find_compute_settings: Finds the class of a compute engine's settings, and imports the engine.
    """

    engine: str | None
    config: Path | None
    values: Mapping[str, str]
    fail_fast: bool
    find_compute_settings: Callable[[str], type | None] = find_compute_settings

    def load_checked(self) -> LoadedEngine:
        """Load the engine and the settings, checked as a whole.

        Raises:
            PluginError: The engine cannot be loaded.
            SettingsError: A setting is wrong, or settings do not fit together.
        """
        engine = self.load()
        engine.loaded.check()
        return engine

    def load(self) -> LoadedEngine:
        """Load the engine and the settings, each value checked separately.

        Raises:
            PluginError: The engine cannot be loaded.
            SettingsError: A setting is wrong, or no worker engine is named.
        """
        sources = self.gather_sources()
        candidate, factory = load_worker_engine(self._find_name(sources))
        loaded = sources.load(candidate.name, factory.settings_type)
        return LoadedEngine(name=candidate.name, factory=factory, loaded=loaded)

    def choose(self) -> Candidate:
        """Choose the engine, and import nothing.

        Raises:
            PluginError: The engine is not installed, ambiguous, or of another major version.
            SettingsError: No worker engine is named.
        """
        return choose_engine(WORKER_ENGINES, self._find_name(self.gather_sources()))

    def _find_name(self, sources: Sources) -> str:
        name = self.engine or sources.default_engine()
        if not name:
            raise SettingsError(
                "no worker engine is named",
                hint="use --engine, or set workflow.default_provider;"
                " `landlord-host engines` lists what is installed",
            )
        return name

    def section(self, kind: str, name: str) -> dict[str, str]:
        """List the values of one engine's section, by key."""
        prefix = f"{kind}.{name}.".replace("-", "_")
        paths = {path.replace("-", "_"): value for path, value in self.values.items()}
        return {
            path.removeprefix(prefix): value
            for path, value in paths.items()
            if path.startswith(prefix)
        }

    def gather_sources(self) -> Sources:
        """Read the settings file, and gather it with the environment and the flags."""
        check_certificates(_environment())
        # Without the engines' names, COMPUTE_<ENGINE>_<KEY> cannot be split into engine and key.
        engines = {engine.name for engine in list_engines(COMPUTE_ENGINES)}
        return Sources.gather(
            self.config, _environment(), self.values, engines, self.find_compute_settings
        )


def build_logger(level: str, log: LogSettings) -> Logger:
    """Set logging up for this process."""
    environment = _environment()
    # https://no-color.org
    color = not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    return configure(level=level, form=log.format, color=color)


def read_assignment(text: str) -> tuple[str, str]:
    """Split the value of ``--set`` into path and value.

    Raises:
        SettingsError: The text has no value.
    """
    path, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(
            f"--set {path} has no value", hint="write it as --set worker.drain_timeout=1m"
        )
    return path.strip(), value


def _environment() -> Mapping[str, str]:
    return os.environ  # noqa: TID251  # the one place that reads it
