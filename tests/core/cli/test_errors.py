"""Errors of the command line: one line and an exit code, or a traceback on request."""

import pytest

from landlord_engines_core.cli.errors import exit_with_code
from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.plugin_calls import ErrorBoundary


def test_an_attempted_exit_is_one_line_and_has_its_traceback_on_request(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught, exit_with_code(debug=False):
        raise SystemExit(0)
    assert caught.value.code == 3  # ExitCode.FAILED
    assert "unexpected SystemExit at" in capfd.readouterr().err

    with pytest.raises(SystemExit) as caught, exit_with_code(debug=True):
        raise SystemExit(0)
    assert caught.value.code == 3
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize("debug", [False, True])
def test_the_traceback_of_an_engines_error_is_printed_only_on_request(
    capfd: pytest.CaptureFixture[str], *, debug: bool
) -> None:
    boundary = ErrorBoundary(engine="worker engine own", failure=EngineFailed)

    with pytest.raises(SystemExit) as caught, exit_with_code(debug=debug), boundary.call("serve"):
        raise KeyError("sesame")

    error = capfd.readouterr().err
    assert caught.value.code == 3
    assert "LE301: worker engine own raised KeyError in serve at" in error
    assert ("Traceback" in error, "sesame" in error) == (debug, debug)
