"""The commands register and move: they reach the backend, and serve no jobs."""

from collections import Counter

import click

from landlord_engines_core.cli.loading import LoadedEngine, load_checked_engine
from landlord_engines_core.cli.options import Options
from landlord_engines_core.engine import Capability, MoveReport, RegistrationState
from landlord_engines_core.errors import DeploymentInUse, RegistrationError
from landlord_engines_core.host import run_async
from landlord_engines_core.lifecycle import within_limit

__all__ = ["move_executions", "register_worker"]


def register_worker(options: Options, *, make_latest: bool) -> None:
    """Register the worker once, and print the result.

    Raises:
        CapabilityNotSupported: The engine cannot make a version the latest.
        RegistrationError: The worker is not registered as the latest version.
    """
    run_async(_register(load_checked_engine(options), make_latest=make_latest))


async def _register(engine: LoadedEngine, *, make_latest: bool) -> None:
    if make_latest:
        engine.factory.info.require(Capability.MAKE_LATEST)
    async with engine.open_worker() as parts:
        call = parts.engine.make_latest() if make_latest else parts.engine.register()
        description = f"the registration by worker engine {engine.name}"
        timeout = engine.settings.worker.register_timeout
        registration = await within_limit(call, timeout, description)
    click.echo(f"{registration.state}: {registration.detail}")
    if registration.state is not RegistrationState.REGISTERED:
        raise RegistrationError(f"not registered as the latest: {registration.detail}")


def move_executions(options: Options, old: str, *, dry_run: bool) -> None:
    """Move executions from the version at ``old`` to the latest, and print each outcome.

    Raises:
        CapabilityNotSupported: The engine cannot move executions.
        DeploymentInUse: The old version is still needed.
    """
    run_async(_move(load_checked_engine(options), old, dry_run=dry_run))


async def _move(engine: LoadedEngine, old: str, *, dry_run: bool) -> None:
    engine.factory.info.require(Capability.MOVE)
    async with engine.open_worker() as parts:
        report = await parts.engine.move(old, dry_run=dry_run)
    _print_move(report, dry_run=dry_run)


def _print_move(report: MoveReport, *, dry_run: bool) -> None:
    for result in report.moves:
        reason = f": {result.detail}" if result.detail else ""
        click.echo(
            f"{result.outcome:<7}  {result.what}  tenant {result.tenant!r}  {result.execution_id}"
            f"  was {result.state}{reason}"
        )
    counts = Counter(result.outcome for result in report.moves)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "none found"
    if dry_run:
        click.echo(f"dry run, nothing was changed; from {report.old} to {report.latest}: {summary}")
        return
    click.echo(f"from {report.old} to {report.latest}: {summary}")
    if report.remaining:
        raise DeploymentInUse(
            f"executions that still need {report.old}: {report.remaining}",
            hint="keep that version running until they have ended, then run this command again",
        )
    click.echo(f"nothing needs {report.old} any more: you can remove it")
