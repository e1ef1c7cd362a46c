"""The command check: it prints what its child process finds."""

import json
from collections.abc import Callable

import attrs
import click

from landlord_engines_core.catalog import read_catalog
from landlord_engines_core.cli.errors import print_final_line
from landlord_engines_core.cli.listing import print_damaged
from landlord_engines_core.cli.options import Options
from landlord_engines_core.exit_codes import ExitCode
from landlord_engines_core.trial.parent import LONGEST_STAGE, run_trial
from landlord_engines_core.trial.result import Finding, Trial

__all__ = ["check_worker", "run_check"]

_ENGINE = "engine"
"""The subject of the findings that only name an engine."""


def check_worker(options: Options, *, as_json: bool, debug: bool) -> None:
    """Check settings, engines, targets, Landlord's API and the backend, and print each result.

    The process ends with the exit code of the first failure, if there is one.
    """
    if as_json:
        trial = run_check(options, debug=debug)
        click.echo(json.dumps(_describe(trial), indent=2))
        raise click.exceptions.Exit(_exit_code(trial))
    print_damaged(read_catalog())
    trial = run_check(options, _print_finding, debug=debug)
    _print_output(trial)
    # The first failure decides the exit code. It is printed last, where a reader sees it.
    for failure in trial.failures[1:]:
        click.echo(f"landlord-host: {failure}", err=True)
    for failure in trial.failures[:1]:
        print_final_line(str(failure))
        raise click.exceptions.Exit(failure.exit_code)


def run_check(
    options: Options, report: Callable[[Finding], None] | None = None, *, debug: bool = False
) -> Trial:
    """Check in a process of its own.

    Args:
        options: The options of the command.
        report: Receives each finding as soon as it is known.
        debug: Whether that process writes the traceback of an unexpected error.
    """
    arguments = {
        "engine": options.engine,
        "config": None if options.config is None else str(options.config),
        "values": dict(options.values),
    }
    module = "landlord_engines_core.cli.check_child"
    return run_trial(module, arguments, report, limit=LONGEST_STAGE, debug=debug)


def _print_finding(finding: Finding) -> None:
    if finding.subject == "unused setting":
        click.echo(f"not used, although Landlord's examples have it: {finding.text}", err=True)
    elif finding.subject not in {"", _ENGINE}:
        click.echo(f"{finding.subject}: {finding.text}")


def _print_output(trial: Trial) -> None:
    if trial.log:
        click.echo(trial.log, err=True)
    if trial.output:
        engines = ", ".join(
            finding.text for finding in trial.findings if finding.subject == _ENGINE
        )
        click.echo(
            f"standard output is the host's, and one of these engines wrote to it ({engines});"
            f" report it to its authors: {trial.output}",
            err=True,
        )


def _exit_code(trial: Trial) -> int:
    return next((failure.exit_code for failure in trial.failures), ExitCode.DRAINED)


def _describe(trial: Trial) -> object:
    """Describe the trial as docs/operating/commands.md names the fields."""
    return {
        "checks": [attrs.asdict(finding) for finding in trial.findings],
        "exit_code": _exit_code(trial),
        "output": trial.output,
        "log": trial.log,
    }
