"""The child of the command check: ``python -m landlord_engines_core.cli.check_child``.

It loads and creates the engines as a worker does. So an engine may hang or end this process.
"""

from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from landlord_engines_core.catalog import COMPUTE_ENGINES, Candidate
from landlord_engines_core.cli.errors import exit_code_of
from landlord_engines_core.cli.loading import (
    LoadedEngine,
    choose_worker_engine,
    load_checked_engine,
)
from landlord_engines_core.cli.options import Options
from landlord_engines_core.compute.targets import REACH_TIMEOUT
from landlord_engines_core.engine import Capability
from landlord_engines_core.errors import LandlordEnginesError, PluginError
from landlord_engines_core.host import NO_LANDLORD_WARNING, WorkerParts, run_async
from landlord_engines_core.host.worker import LONGEST_SHUTDOWN
from landlord_engines_core.lifecycle import refuse_unable, within_limit
from landlord_engines_core.plugins import choose_engine, find_compute_settings
from landlord_engines_core.trial.child import Reporter, run_child
from landlord_engines_core.trial.result import Finding

__all__ = ["check"]

_CORE = "landlord-engines-core"
_MARGIN = 5.0
"""Seconds between a limit of the checked call and the limit of its stage."""

_LONGEST_ANSWER = 60.0
"""Seconds for Landlord's API, which has time limits of its own."""


def check(arguments: Any, reporter: Reporter) -> None:
    """Check an engine, its settings and all that it reaches, and change nothing."""
    imports = _Imports(reporter=reporter)
    config = arguments["config"]
    options = Options(
        engine=arguments["engine"],
        config=None if config is None else Path(config),
        values=arguments["values"],
        fail_fast=False,
    )
    candidate = choose_worker_engine(options)
    imports.begin(candidate)
    engine = load_checked_engine(options, imports.find_compute_settings)
    reporter.engines = imports.describe()
    run_async(_check_worker(engine, candidate.label, reporter))


@attrs.frozen(kw_only=True)
class _Imports:
    """Imports of engines, each in a stage of its own, so that one that ends the process is known."""

    reporter: Reporter
    engines: list[Candidate] = attrs.field(factory=list)

    def begin(self, engine: Candidate) -> None:
        """Begin the import of one engine."""
        self.engines.append(engine)
        self.reporter.report(Finding(subject="engine", text=engine.label))
        self.reporter.begin(f"the import of {engine.label}", is_import=True)

    def find_compute_settings(self, name: str) -> type | None:
        """Import a compute engine for the class of its settings; ``None`` if it cannot be loaded."""
        with suppress(PluginError):
            self.begin(choose_engine(COMPUTE_ENGINES, name))
        settings = find_compute_settings(name)
        self.reporter.begin("the load of the settings", is_import=True)
        return settings

    def describe(self) -> str:
        """Name the engines, except for those of core itself."""
        return ", ".join(engine.label for engine in self.engines if not engine.is_from(_CORE))


async def _check_worker(engine: LoadedEngine, label: str, reporter: Reporter) -> None:
    reporter.begin(f"the creation of {reporter.engines}")
    async with engine.open_worker() as parts:
        reporter.report(Finding(subject="settings", text="valid"))
        for path in engine.loaded.unused:
            reporter.report(Finding(subject="unused setting", text=path))
        await _check_targets(parts, reporter)
        await _report("Landlord", _check_landlord(parts, reporter), reporter)
        registration = _check_registration(parts, engine, label, reporter)
        await _report("registration", registration, reporter)
        reporter.begin(f"the shutdown of {reporter.engines}", limit=LONGEST_SHUTDOWN + _MARGIN)


async def _report(subject: str, check_part: Awaitable[str], reporter: Reporter) -> None:
    try:
        text = await check_part
    except LandlordEnginesError as error:
        reporter.fail(error)
    else:
        reporter.report(Finding(subject=subject, text=text))


async def _check_targets(parts: WorkerParts, reporter: Reporter) -> None:
    reporter.begin(f"the check of the targets of {reporter.engines}", limit=REACH_TIMEOUT + _MARGIN)
    for name, status in (await parts.targets.check()).items():
        subject = f"compute.{name}"
        if status.error is None:
            reporter.report(Finding(subject=subject, text=status.detail or "nothing to reach"))
        else:
            reporter.fail(status.error, subject=subject, text="not reached")


async def _check_landlord(parts: WorkerParts, reporter: Reporter) -> str:
    if parts.landlord is None:
        return f"not configured (worker.landlord_api_url), so that {NO_LANDLORD_WARNING}"
    reporter.begin("the check of Landlord's API", limit=_LONGEST_ANSWER)
    await parts.landlord.reach()
    return f"{parts.landlord.url} answers"


async def _check_registration(
    parts: WorkerParts, engine: LoadedEngine, label: str, reporter: Reporter
) -> str:
    reporter.begin(f"the check of {label}")
    refuse_unable(parts.info, parts.engine)
    if not parts.info.supports(Capability.DRY_RUN):
        return "not checked, the engine has no dry run"
    timeout = engine.settings.worker.register_timeout
    description = f"the dry run of the registration by {label}"
    reporter.begin(description, limit=timeout + _MARGIN)
    registration = await within_limit(parts.engine.dry_run_registration(), timeout, description)
    return registration.detail


if __name__ == "__main__":
    run_child(check, exit_code_of)
