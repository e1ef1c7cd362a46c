"""Turning errors into one line on standard error and an exit code."""

import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click

from landlord_engines_core.errors import (
    CapabilityNotSupported,
    EngineRefused,
    LandlordEnginesError,
    PluginError,
    RegistrationError,
    SettingsError,
)
from landlord_engines_core.exit_codes import ExitCode, ForcedExit
from landlord_engines_core.streams import flush_log, write_error_line

__all__ = ["exit_code_of", "exit_with_code", "print_final_line"]

_EXIT_CODES: Mapping[type[LandlordEnginesError], ExitCode] = {
    SettingsError: ExitCode.USAGE,
    PluginError: ExitCode.USAGE,
    EngineRefused: ExitCode.REFUSED,
    CapabilityNotSupported: ExitCode.REFUSED,
    RegistrationError: ExitCode.NOT_REGISTERED,
}


def exit_code_of(error: LandlordEnginesError) -> ExitCode:
    """Choose the exit code for an error."""
    codes = (code for kind, code in _EXIT_CODES.items() if isinstance(error, kind))
    return next(codes, ExitCode.FAILED)


@contextmanager
def exit_with_code(*, debug: bool) -> Iterator[None]:
    """End the process with one line and an exit code if an error leaves the context.

    Args:
        debug: Whether the traceback of an unexpected error, or of an engine's, is printed.
    """
    try:
        yield
    except LandlordEnginesError as error:
        if debug and error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        print_final_line(str(error))
        sys.exit(exit_code_of(error))
    except ForcedExit:
        print_final_line("stopped at once by a second signal, without draining")
        sys.exit(ExitCode.FORCED)
    # click prints its own errors and chooses their exit code.
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001  # the last place
        # An exit too: it would end the process with its own exit code, perhaps with 0.
        if debug:
            traceback.print_exception(error)
        print_final_line(_describe_unexpected(error))
        sys.exit(ExitCode.FAILED)


def _describe_unexpected(error: BaseException) -> str:
    # Imported here, because this import takes as long as all other imports of `--help` together.
    from landlord_engines_core.trial.result import Failure  # noqa: PLC0415  # as above

    return str(Failure.unexpected(error))


def print_final_line(text: str) -> None:
    """Print the last line, after all log lines."""
    flush_log()
    write_error_line(f"landlord-host: {text}")
