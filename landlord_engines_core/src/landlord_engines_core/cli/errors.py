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
    """End the process with one line and an exit code where an error leaves the context.

    Args:
        debug: Whether an unexpected error is raised, for its traceback.
    """
    try:
        with catch_exits():
            yield
    except LandlordEnginesError as error:
        _print_last(str(error))
        codes = (code for kind, code in _EXIT_CODES.items() if isinstance(error, kind))
        sys.exit(next(codes, ExitCode.FAILED))
    except ForcedExit:
        _print_last("ended by a second signal")
        sys.exit(ExitCode.FORCED)
    except ExitAttempted as error:
        _exit_unexpected(error.__cause__ or error)
    # click prints its own errors and chooses their exit code.
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:
        if debug:
            raise
        _exit_unexpected(error)


def _exit_unexpected(error: BaseException) -> NoReturn:
    """Print the error's type and location, but not its text."""
    # The text may hold a value of the settings.
    location = traceback.extract_tb(error.__traceback__)[-1]
    _print_last(
        f"unexpected {type(error).__name__} in {location.filename}:{location.lineno};"
        " run the command with --debug for the traceback, and report it"
    )
    sys.exit(ExitCode.FAILED)


def _print_last(text: str) -> None:
    """Print the last line, after all log lines."""
    flush()
    write_error_line(f"landlord-host: {text}")
