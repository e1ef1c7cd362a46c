"""The commands of ``landlord-host``, with their options and help texts.

Each command imports the code that carries it out when it runs. So ``--help`` imports neither the host nor
the libraries of the other commands, which take ten times as long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from landlord_engines_core import __version__
from landlord_engines_core.cli.errors import exit_with_code
from landlord_engines_core.cli.tenant_commands import TENANT_COMMANDS
from landlord_engines_core.streams import open_standard_streams

if TYPE_CHECKING:
    from landlord_engines_core.cli.options import Options

__all__ = ["landlord_host", "main"]

_LEVELS = ("debug", "info", "warn", "error")
_FORMATS = ("auto", "console", "json")

_HELP = """Run a Landlord worker.

\b
landlord-host --engine restate dev      run everything on this machine
landlord-host --engine restate check    validate settings and connectivity
landlord-host --engine restate          run the worker

Settings come from a file, from the environment (WORKFLOW_RESTATE_ADMIN_ENDPOINT,
WORKER_DRAIN_TIMEOUT and so on) and from flags. The file may be Landlord's config.yaml. Flags
override the environment, and the environment overrides the file.

SIGTERM, SIGINT or SIGHUP drains the worker. A second signal ends it at once.

Shell completion: eval "$(_LANDLORD_HOST_COMPLETE=bash_source landlord-host)". Use zsh_source or
fish_source for these shells.

\b
Exit codes:
- 0  the worker drained
- 1  a second signal ended it
- 2  wrong usage or settings
- 3  the engine failed, or a tenant is not as desired
- 4  the registration gave up
- 5  the engine refuses to serve, or lacks what the command needs
"""


class _Group(click.Group):
    """Group of commands whose errors end the process with one line and an exit code."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        with exit_with_code(debug=ctx.params["debug"]):
            return super().invoke(ctx)


def _complete_engine(
    _: click.Context, __: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the installed worker engines to a shell, and duplicates with their distribution."""
    from landlord_engines_core.catalog import WORKER_ENGINES, read_catalog

    engines = read_catalog().in_group(WORKER_ENGINES)
    counts = Counter(engine.name for engine in engines)
    offers = {
        engine.name if counts[engine.name] == 1 else engine.full_name: engine for engine in engines
    }
    return [
        CompletionItem(offer, help=f"{engine.distribution} {engine.version}")
        for offer, engine in offers.items()
        if offer.startswith(incomplete)
    ]


def _complete_words(words: Iterable[str]) -> Callable[..., list[CompletionItem]]:
    """Offer words to a shell. Click does not check them: the settings' error names the origin."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]

    return complete


@click.group(
    cls=_Group,
    help=_HELP,
    invoke_without_command=True,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
)
@click.option(
    "--engine",
    metavar="NAME",
    shell_complete=_complete_engine,
    help="The worker engine to run. DISTRIBUTION:NAME chooses among duplicates.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The settings file. Default: LANDLORD_CONFIG, then the paths that Landlord searches.",
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
    shell_complete=_complete_words(_LEVELS),
    help="debug, info, warn or error.",
)
@click.option(
    "--log-format",
    metavar="FORMAT",
    shell_complete=_complete_words(_FORMATS),
    help="auto, console or json.",
)
@click.option("--fail-fast", is_flag=True, help="Exit with code 4 if registering takes too long.")
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error.")
@click.version_option(__version__, prog_name="landlord-host")
@click.pass_context
def landlord_host(
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
    """Collect the options, and run the worker if no subcommand is given."""
    from landlord_engines_core.cli.options import Options, read_assignment

    # `_Group.invoke` reads it.
    _ = debug
    values = dict(read_assignment(assignment) for assignment in assignments)
    log = {"log.level": log_level, "log.format": log_format}
    values.update({path: value for path, value in log.items() if value is not None})
    context.obj = Options(engine=engine, config=config, values=values, fail_fast=fail_fast)
    if context.invoked_subcommand is None:
        from landlord_engines_core.cli.running import run_worker

        run_worker(context.obj)


@landlord_host.command()
@click.option(
    "--wide",
    is_flag=True,
    help="Import each engine in a process of its own, and print what it declares.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def engines(*, wide: bool, as_json: bool) -> None:
    """List the installed engines.

    Reads their metadata and imports none of them. A problem stands below its engine, with the next
    step. An engine with a problem is no error of this command.
    """
    from landlord_engines_core.cli.listing import list_installed

    list_installed(wide=wide, as_json=as_json)


@landlord_host.command()
@click.pass_obj
def config(options: Options) -> None:
    """Print each setting and its origin.

    Secrets are masked. An error about missing settings, or about settings that do not fit together,
    comes last.
    """
    from landlord_engines_core.cli.running import print_settings

    print_settings(options)


@landlord_host.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def check(context: click.Context, *, as_json: bool) -> None:
    """Validate settings and connectivity.

    Checks the settings, each compute target, Landlord's API and the backend, and changes nothing.
    The registration is a dry run. All checks run, and the first failure decides the exit code.

    The engines run in a process of their own, for a limited time. One that hangs or ends that
    process is named.
    """
    from landlord_engines_core.cli.checking import check_worker

    debug = context.find_root().params["debug"]
    check_worker(context.obj, as_json=as_json, debug=debug)


@landlord_host.command()
@click.option(
    "--make-latest",
    is_flag=True,
    help="Send new jobs to this worker, whatever other version is registered.",
)
@click.pass_obj
def register(options: Options, *, make_latest: bool) -> None:
    """Register the running worker once."""
    from landlord_engines_core.cli.checks import register_worker

    register_worker(options, make_latest=make_latest)


@landlord_host.command()
@click.option("--from", "old", required=True, metavar="URL", help="The URL of the old version.")
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.pass_obj
def move(options: Options, old: str, *, dry_run: bool) -> None:
    """Move jobs from an old version to the latest.

    Jobs that the old version began continue on the latest version. A job that is running at this
    moment is left alone. The last line says whether you can remove the old version. If not, the exit
    code is 3.
    """
    from landlord_engines_core.cli.checks import move_executions

    move_executions(options, old, dry_run=dry_run)


@landlord_host.command()
@click.option(
    "--backend",
    metavar="NAME",
    help="Another local backend of the engine. An unknown name lists them.",
)
@click.option("--demo", is_flag=True, help="Take one tenant from create to delete, then exit.")
@click.pass_obj
def dev(options: Options, backend: str | None, *, demo: bool) -> None:
    """Run everything on this machine.

    Starts a local backend, Landlord in memory and a worker, and prints their addresses and commands
    to try. Tenants are local processes, unless the settings name compute engines. Ctrl-C ends
    everything, and nothing is kept.
    """
    from landlord_engines_core.cli.local_stack import run_local_stack

    run_local_stack(options, backend, demo=demo)


@landlord_host.command()
@click.argument("name")
@click.argument("arguments", nargs=-1)
@click.option("--compute", is_flag=True, help="NAME is a compute engine. Default: a worker engine.")
@click.option(
    "--reports",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the JSON report into this folder.",
)
@click.pass_obj
def conformance(
    options: Options,
    name: str,
    arguments: tuple[str, ...],
    *,
    compute: bool,
    reports: Path | None,
) -> None:
    """Test an engine with the rules of its contract.

    Needs the extra landlord-engines-core[conformance]. An engine that needs settings gets them by --set.
    Arguments after -- go to pytest.
    """
    from landlord_engines_core.conformance.command import run_kit
    from landlord_engines_core.conformance.rules import Kind

    kind = Kind.COMPUTE if compute else Kind.WORKER
    run_kit(kind, name, options.section(kind.section, name), reports=reports, arguments=arguments)


@landlord_host.command("new-engine")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(("worker", "compute")),
    default="worker",
    show_default=True,
    help="The kind of engine.",
)
def new_engine(name: str, kind: str) -> None:
    """Write a new distribution with an engine.

    NAME has lower-case letters, digits and hyphens, and begins with a letter. The distribution gets a
    folder of its own in the working folder. An existing folder is refused.
    """
    from landlord_engines_core.cli.scaffolding import write_distribution

    write_distribution(kind, name)


for _command in TENANT_COMMANDS:
    landlord_host.add_command(_command)


def main() -> None:
    """Run the command."""
    open_standard_streams()
    landlord_host(prog_name="landlord-host")
