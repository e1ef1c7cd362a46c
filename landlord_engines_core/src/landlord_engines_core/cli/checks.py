"""The commands check, register and move: they reach targets and backend, and serve no jobs."""

from collections import Counter

import click

from landlord_engines_core.catalog import read_catalog
from landlord_engines_core.cli.listing import print_damaged
from landlord_engines_core.cli.options import LoadedEngine
from landlord_engines_core.engine import Capability, MoveReport, RegistrationState
from landlord_engines_core.errors import DeploymentInUse, LandlordEnginesError, RegistrationError
from landlord_engines_core.host import WITHOUT_LANDLORD, WorkerParts
from landlord_engines_core.lifecycle import refuse_unable, within_limit

__all__ = ["check_worker", "move_executions", "register_worker"]


async def check_worker(engine: LoadedEngine) -> None:
    """Check settings, targets, Landlord's API and the backend, and print each result.

    Raises:
        LandlordEnginesError: The first check that failed; the others are printed.
    """
    async with engine.open_worker() as parts:
        click.echo("settings: valid")
        print_damaged(read_catalog())
        for path in engine.loaded.unused:
            click.echo(f"not used, although Landlord's examples have it: {path}", err=True)
        errors = await _run_checks(parts)
    # The first failure is raised, so that it decides the exit code.
    for error in errors[1:]:
        click.echo(f"landlord-host: {error}", err=True)
    if errors:
        raise errors[0]


async def _run_checks(parts: WorkerParts) -> list[LandlordEnginesError]:
    """Check each part of a worker, and return all failures."""
    errors: list[LandlordEnginesError] = []
    for name, status in (await parts.targets.check()).items():
        if status.error is not None:
            click.echo(f"compute.{name}: not reached")
            errors.append(status.error)
        else:
            click.echo(f"compute.{name}: {status.detail or 'nothing to reach'}")
    for check in (_check_landlord, _check_engine):
        try:
            click.echo(await check(parts))
        except LandlordEnginesError as error:
            errors.append(error)
    return errors


async def _check_landlord(parts: WorkerParts) -> str:
    if parts.landlord is None:
        return f"Landlord: not configured (worker.landlord_api_url), so that {WITHOUT_LANDLORD}"
    await parts.landlord.reach()
    return f"Landlord: {parts.landlord.url} answers"


async def _check_engine(parts: WorkerParts) -> str:
    refuse_unable(parts.info, parts.engine)
    if not parts.info.supports(Capability.DRY_RUN):
        return "registration: not checked, the engine has no dry run"
    registration = await parts.engine.dry_run_registration()
    return f"registration: {registration.detail}"


async def register_worker(engine: LoadedEngine, *, make_latest: bool) -> None:
    """Register the worker once, and print the result.

    Raises:
        CapabilityNotSupported: The engine cannot make a version the latest.
        RegistrationError: The worker is not registered as the latest version.
    """
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


async def move_executions(engine: LoadedEngine, old: str, *, dry_run: bool) -> None:
    """Move executions from the version at ``old`` to the latest, and print each outcome.

    Raises:
        CapabilityNotSupported: The engine cannot move executions.
        DeploymentInUse: The old version is still needed.
    """
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
