"""Turning errors into one line on standard error and an exit code."""

import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

import click

from landlord_engines_core.errors import (
    CapabilityNotSupported,
    EngineRefused,
    ExitAttempted,
    LandlordEnginesError,
    PluginError,
    RegistrationError,
    SettingsError,
    catch_exits,
)
from landlord_engines_core.exit_codes import ExitCode
from landlord_engines_core.host import ForcedExit
from landlord_engines_core.logs import flush
from landlord_engines_core.streams import write_error_line

__all__ = ["exit_with_code"]

_EXIT_CODES: Mapping[type[LandlordEnginesError], ExitCode] = {
    SettingsError: ExitCode.USAGE,
    PluginError: ExitCode.USAGE,
    EngineRefused: ExitCode.REFUSED,
    CapabilityNotSupported: ExitCode.REFUSED,
    RegistrationError: ExitCode.NOT_REGISTERED,
}


@contextmanager
def exit_with_code(*, debug: bool) -> Iterator[None]:
    """End the process with one line and an exit code if an error leaves the context.

    Args:
        debug: Whether an unexpected error is raised, for its traceback.
    """
    try:
        with catch_exits():
            yield
    except LandlordEnginesError as error:
        if debug and error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        _print_final_line(str(error))
        codes = (code for kind, code in _EXIT_CODES.items() if isinstance(error, kind))
        sys.exit(next(codes, ExitCode.FAILED))
    except ForcedExit:
        _print_final_line("stopped at once by a second signal, without draining")
        sys.exit(ExitCode.FORCED)
    # click prints its own errors and chooses their exit code.
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:
        if debug:
            raise
        # The exit that a plugin attempted, at the plugin's line.
        cause = error.__cause__ if isinstance(error, ExitAttempted) else None
        _exit_unexpected(cause or error)


def _exit_unexpected(error: BaseException) -> NoReturn:
    """Print the error's type and location, but not its text."""
    # The text may contain a settings value.
    location = traceback.extract_tb(error.__traceback__)[-1]
    _print_final_line(
        f"unexpected {type(error).__name__} in {location.filename}:{location.lineno};"
        " run the command with --debug for the traceback, and report it"
    )
    sys.exit(ExitCode.FAILED)


def _print_final_line(text: str) -> None:
    """Print the last line, after all log lines."""
    flush()
    write_error_line(f"landlord-host: {text}")
