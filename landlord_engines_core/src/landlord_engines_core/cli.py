"""``landlord-host``: the one place where errors become text and exit codes.

Exit codes: 0 drained, 1 second signal, 2 usage or settings, 3 the engine failed, 4 registration gave
up, 5 the engine refuses to serve, or lacks what was asked of it.
"""

import asyncio
import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import NoReturn

import attrs
import click
from click.shell_completion import CompletionItem

from landlord_engines_core import __version__, dev as local, host
from landlord_engines_core.engine import Capability, EngineFactory, MoveReport, RegistrationState
from landlord_engines_core.errors import (
    CapabilityNotSupported,
    DeploymentInUse,
    EngineRefused,
    ExitAttempted,
    LandlordEnginesError,
    PluginError,
    RegistrationError,
    SettingsError,
    exits_as_errors,
)
from landlord_engines_core.lifecycle import refuse_unable, within_limit
from landlord_engines_core.logs import Logger, configure, flush
from landlord_engines_core.plugins import (
    COMPUTE_ENGINES,
    WORKER_ENGINES,
    damaged,
    list_engines,
    load_worker_engine,
)
from landlord_engines_core.settings import Loaded, LogSettings, Sources, written
from landlord_engines_core.streams import open_standard_streams, tell
from landlord_engines_core.tls import check_certificates

__all__ = ["main"]

_EXIT_CODES: Mapping[type[LandlordEnginesError], int] = {
    SettingsError: 2,
    PluginError: 2,
    EngineRefused: 5,
    CapabilityNotSupported: 5,
    RegistrationError: 4,
}
_ENGINE_FAILED = 3
_FORCED = 1


@attrs.frozen(kw_only=True)
class _Chosen:
    """The engine and its settings, as the flags, the environment and the file name them."""

    name: str
    factory: EngineFactory
    loaded: Loaded


@attrs.frozen(kw_only=True)
class _Flags:
    """The options before the subcommand."""

    engine: str | None
    config: Path | None
    values: Mapping[str, str]
    fail_fast: bool

    def choose(self) -> _Chosen:
        """Load the engine and its settings, checked by the engine too."""
        chosen = self.load()
        chosen.loaded.check()
        return chosen

    def load(self) -> _Chosen:
        """Load the engine and its settings, each value checked, and nothing between them."""
        sources = self.sources()
        name = self.engine or sources.default_engine()
        if not name:
            raise SettingsError(
                "no worker engine is named",
                hint="use --engine, or set workflow.default_provider;"
                " `landlord-host engines` lists what is installed",
            )
        candidate, factory = load_worker_engine(name)
        loaded = sources.load(candidate.name, factory.settings_type)
        return _Chosen(name=candidate.name, factory=factory, loaded=loaded)

    def sources(self) -> Sources:
        """Read the file, and take what the environment and the flags say."""
        check_certificates(_environment())
        engines = {one.name for one in list_engines(COMPUTE_ENGINES)}
        return Sources.gather(self.config, _environment(), self.values, engines)


def _environment() -> Mapping[str, str]:
    return os.environ  # noqa: TID251  # the one place


class _Host(click.Group):
    """The command, whose errors end it with one line and their exit code."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for."""
        with _exit_codes(debug=ctx.params["debug"]):
            return super().invoke(ctx)


def _complete_engine(
    _: click.Context, __: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the installed worker engines to a shell."""
    return [
        CompletionItem(one.name, help=f"{one.distribution} {one.version}")
        for one in list_engines(WORKER_ENGINES)
        if one.name.startswith(incomplete)
    ]


_LEVELS = ("debug", "info", "warn", "error")
_FORMATS = ("auto", "console", "json")


def _offering(words: Iterable[str]) -> Callable[..., list[CompletionItem]]:
    """Offer words to a shell. The settings check the value, so that the error names its origin."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]

    return complete


_HELP = """Run a Landlord worker.

\b
landlord-host --engine restate dev      run everything on this machine
landlord-host --engine restate check    validate settings and connectivity
landlord-host --engine restate          run the worker

Settings come from a file, which may be Landlord's own config.yaml, from the environment
(WORKFLOW_RESTATE_ADMIN_ENDPOINT, WORKER_DRAIN_TIMEOUT and so on) and from flags. Flags override
the environment, which overrides the file. SIGTERM, SIGINT or SIGHUP drains the worker; a second
one ends it at once.

Shell completion: eval "$(_LANDLORD_HOST_COMPLETE=bash_source landlord-host)"; zsh_source and
fish_source for these shells.

Exit codes: 0 drained, 1 second signal, 2 usage or settings, 3 the engine failed, 4 registration
gave up, 5 the engine refuses to serve, or lacks what was asked of it.
"""


@click.group(
    cls=_Host,
    help=_HELP,
    invoke_without_command=True,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
)
@click.option(
    "--engine", metavar="NAME", shell_complete=_complete_engine, help="The worker engine to run."
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The settings file; otherwise LANDLORD_CONFIG, then the places Landlord looks in.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="PATH=VALUE",
    help="Set one value, for example worker.drain_timeout=1m. May be repeated.",
)
@click.option(
    "--log-level",
    metavar="LEVEL",
    shell_complete=_offering(_LEVELS),
    help="debug, info, warn or error.",
)
@click.option(
    "--log-format",
    metavar="FORMAT",
    shell_complete=_offering(_FORMATS),
    help="auto, console or json.",
)
@click.option("--fail-fast", is_flag=True, help="End with code 4 where registering takes too long.")
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error.")
@click.version_option(__version__, prog_name="landlord-host")
@click.pass_context
def cli(
    context: click.Context,
    engine: str | None,
    config: Path | None,
    assignments: tuple[str, ...],
    log_level: str | None,
    log_format: str | None,
    *,
    fail_fast: bool,
    debug: bool,
) -> None:
    """Collect the options, and run the worker where no command is named."""
    _ = debug
    flags = dict(_assignment(one) for one in assignments)
    named = {"log.level": log_level, "log.format": log_format}
    flags.update({path: value for path, value in named.items() if value is not None})
    context.obj = _Flags(engine=engine, config=config, values=flags, fail_fast=fail_fast)
    if context.invoked_subcommand is None:
        _run(context.obj)


def _run(flags: _Flags) -> None:
    chosen = flags.choose()
    settings = chosen.loaded.settings
    logger = _logger(settings.log.level, settings.log)
    for path in chosen.loaded.passed_over:
        logger.warning("a setting that is in Landlord's examples is not read", setting=path)
    running = host.run_process(
        chosen.name, chosen.factory, settings, logger, fail_fast=flags.fail_fast
    )
    host.run_async(running)


def _logger(level: str, log: LogSettings) -> Logger:
    """Set logging up; https://no-color.org says when a terminal gets no colours."""
    environment = _environment()
    color = not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    return configure(level=level, form=log.format, color=color)


@cli.command()
def engines() -> None:
    """List the installed engines."""
    for group in (WORKER_ENGINES, COMPUTE_ENGINES):
        click.echo(f"{group}:")
        for one in list_engines(group):
            click.echo(f"  {one.name:<16} {one.distribution} {one.version}  {one.target}")
    _tell_damaged()


@cli.command()
@click.pass_obj
def config(flags: _Flags) -> None:
    """Print each value and where it comes from.

    Secrets are masked. What the settings lack, or what does not fit together, is told in the end.
    """
    loaded = flags.load().loaded
    for path, value in loaded.values.items():
        shown = _duration(value) if path in loaded.durations else _shown(path, value)
        click.echo(f"{path} = {shown}  # {loaded.origins[path]}")
    loaded.check()


@cli.command()
@click.pass_obj
def check(flags: _Flags) -> None:
    """Check settings, targets, Landlord and backend.

    Registering is tried without doing it; nothing is changed. All is tried before the first failure
    decides the exit code.
    """
    host.run_async(_check(flags.choose()))


@cli.command()
@click.option(
    "--make-latest", is_flag=True, help="Have new jobs sent to this worker, whatever is beside."
)
@click.pass_obj
def register(flags: _Flags, *, make_latest: bool) -> None:
    """Register the running worker, once."""
    host.run_async(_register(flags.choose(), make_latest=make_latest))


@cli.command()
@click.option("--from", "old", required=True, metavar="URL", help="Where the old version serves.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_obj
def move(flags: _Flags, old: str, *, dry_run: bool) -> None:
    """Move jobs from an old version to the latest.

    What the version at URL has begun, and is not running at this moment, goes on with the latest.
    Says in the end whether the old version may go; where it may not yet, the exit code is 3.
    """
    host.run_async(_move(flags.choose(), old, dry_run=dry_run))


@cli.command()
@click.option(
    "--backend",
    metavar="NAME",
    help="Another of the engine's local backends; a name that it does not know lists them.",
)
@click.option("--demo", is_flag=True, help="Walk one tenant through its life, and end.")
@click.pass_obj
def dev(flags: _Flags, backend: str | None, *, demo: bool) -> None:
    """Run everything on this machine.

    Brings up a local backend, Landlord in memory and a worker, says where each listens, and what to
    try. Ctrl-C ends all of it. Tenants are local processes unless the settings name compute engines. Nothing is kept.
    """
    chosen = flags.load()
    log = chosen.loaded.settings.log
    parts = local.EngineSelection(
        name=chosen.name, factory=chosen.factory, sources=flags.sources(), backend=backend
    )
    quiet = demo and chosen.loaded.origins["log.level"] == "default"
    logger = _logger("error" if quiet else log.level, log)
    foreground = _demo if demo else _look_around
    host.run_async(local.run(parts, logger, foreground))


async def _demo(stack: local.Stack) -> None:
    async with local.User.of(stack.landlord) as user:
        await local.Demo(user=user, port=local.free_port(), progress=_progress).run()


async def _look_around(stack: local.Stack) -> None:
    for line in local.hints(stack):
        click.echo(line)
    await asyncio.Event().wait()


@contextmanager
def _progress(title: str) -> Iterator[None]:
    """Show what is waited for on a terminal, and how long it took."""
    begun = monotonic()
    if sys.stdout.isatty():
        click.echo(f"  ... {title}\r", nl=False)
    yield
    click.echo(f"  {monotonic() - begun:4.1f} s  {title}")


async def _check(chosen: _Chosen) -> None:
    settings = chosen.loaded.settings
    logger = _logger("error", settings.log)
    async with host.build_idle_worker(chosen.name, chosen.factory, settings, logger) as parts:
        click.echo("settings: good")
        _tell_damaged()
        for path in chosen.loaded.passed_over:
            click.echo(f"not read, although Landlord's examples have it: {path}", err=True)
        errors = await _failures(parts)
    for error in errors[1:]:
        click.echo(f"landlord-host: {error}", err=True)
    if errors:
        raise errors[0]


async def _failures(parts: host.WorkerParts) -> list[LandlordEnginesError]:
    """Try each part of a worker, and say what came of it."""
    errors: list[LandlordEnginesError] = []
    for name, status in (await parts.targets.look()).items():
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


async def _check_landlord(parts: host.WorkerParts) -> str:
    if parts.landlord is None:
        return (
            f"Landlord: not configured (worker.landlord_api_url), so that {host.WITHOUT_LANDLORD}"
        )
    await parts.landlord.reach()
    return f"Landlord: {parts.landlord.url} answers"


async def _check_engine(parts: host.WorkerParts) -> str:
    refuse_unable(parts.engine)
    if not parts.engine.info.supports(Capability.DRY_RUN):
        return "registration: the engine cannot try it without doing it"
    registration = await parts.engine.dry_run_registration()
    return f"registration: {registration.detail}"


async def _register(chosen: _Chosen, *, make_latest: bool) -> None:
    settings = chosen.loaded.settings
    logger = _logger("error", settings.log)
    async with host.build_idle_worker(chosen.name, chosen.factory, settings, logger) as parts:
        engine = parts.engine
        call = engine.make_latest() if make_latest else engine.register()
        what = f"the registration by worker engine {engine.info.name}"
        registration = await within_limit(call, settings.worker.register_timeout, what)
    click.echo(f"{registration.state}: {registration.detail}")
    if registration.state is not RegistrationState.REGISTERED:
        raise RegistrationError(f"not registered as the latest: {registration.detail}")


async def _move(chosen: _Chosen, old: str, *, dry_run: bool) -> None:
    settings = chosen.loaded.settings
    logger = _logger("error", settings.log)
    async with host.build_idle_worker(chosen.name, chosen.factory, settings, logger) as parts:
        moved = await parts.engine.move(old, dry_run=dry_run)
    _tell(moved, dry_run=dry_run)


def _tell_damaged() -> None:
    """Name the distributions that cannot be read; an engine that is missed may be in one."""
    for one in damaged():
        click.echo(f"cannot be read, reinstall it: {one}", err=True)


def _tell(moved: MoveReport, *, dry_run: bool) -> None:
    """Say what became of each, and whether the old version may go."""
    for one in moved.moves:
        why = f": {one.detail}" if one.detail else ""
        click.echo(
            f"{one.fate:<7}  {one.what}  tenant {one.tenant!r}  {one.execution_id}"
            f"  was {one.state}{why}"
        )
    counts = Counter(one.fate for one in moved.moves)
    told = ", ".join(f"{count} {fate}" for fate, count in counts.items()) or "none found"
    if dry_run:
        click.echo(f"dry run, nothing was changed; from {moved.old} to {moved.latest}: {told}")
        return
    click.echo(f"from {moved.old} to {moved.latest}: {told}")
    if moved.remaining:
        raise DeploymentInUse(
            f"{moved.remaining} still need {moved.old}",
            hint="let it serve until they have ended, and run this again",
        )
    click.echo(f"nothing needs {moved.old} any more: it may go")


def _assignment(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(
            f"--set {path} has no value", hint="write it as --set worker.drain_timeout=1m"
        )
    return path.strip(), value


def _duration(value: object) -> str:
    return "None" if value is None else written(float(str(value)))


def _shown(path: str, value: object) -> str:
    """Print a value; a compute engine's section may hold secrets under any key."""
    if path == "compute" and isinstance(value, Mapping):
        return str({name: dict.fromkeys(section, "***") for name, section in value.items()})
    return repr(value)


@contextmanager
def _exit_codes(*, debug: bool) -> Iterator[None]:
    try:
        with exits_as_errors():
            yield
    except LandlordEnginesError as error:
        _print_last(str(error))
        codes = (code for kind, code in _EXIT_CODES.items() if isinstance(error, kind))
        sys.exit(next(codes, _ENGINE_FAILED))
    except host.ForcedExit:
        _print_last("ended by a second signal")
        sys.exit(_FORCED)
    except ExitAttempted as error:
        _end_unexpected(error.__cause__ or error)
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:
        if debug:
            raise
        _end_unexpected(error)


def _end_unexpected(error: BaseException) -> NoReturn:
    """Tell its type and location only: its text may hold a value out of the settings."""
    location = traceback.extract_tb(error.__traceback__)[-1]
    _print_last(
        f"unexpected {type(error).__name__} in {location.filename}:{location.lineno};"
        " run it with --debug for the traceback, and report it"
    )
    sys.exit(_ENGINE_FAILED)


def _print_last(text: str) -> None:
    """Write the last line, after what was logged; a standard error that is full keeps nobody."""
    flush()
    tell(f"landlord-host: {text}")


def main() -> None:
    """Run the command."""
    open_standard_streams()
    cli(prog_name="landlord-host")
