"""Errors of the command line: one line and an exit code, or a traceback on request."""

import pytest

from landlord_engines_core.cli.errors import exit_with_code


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
