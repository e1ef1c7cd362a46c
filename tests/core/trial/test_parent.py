"""The side of a trial that survives whatever the engine does."""

from pathlib import Path

import pytest

from landlord_engines_core.trial import Trial, run_trial

CHILD = """
import atexit, os
from landlord_engines_core.exit_codes import ExitCode
from landlord_engines_core.trial.child import run_child

def body(arguments, reporter):
    {body}

run_child(body, lambda error: ExitCode.USAGE)
"""


def tried(
    folder: Path, monkeypatch: pytest.MonkeyPatch, body: str, *, debug: bool = False
) -> Trial:
    monkeypatch.syspath_prepend(folder)
    (folder / "tried_child.py").write_text(CHILD.format(body=body))
    return run_trial("tried_child", {"zero": 0}, limit=20.0, debug=True)


def test_a_child_that_fails_and_then_ends_with_a_code_is_told_with_the_ends_of_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "print('first' + 'x' * 20000 + 'last')\n    atexit.register(os._exit, 3)\n    1 / arguments['zero']"

    trial = tried(tmp_path, monkeypatch, body)

    unexpected, end = trial.failures
    assert unexpected.message.startswith("unexpected ZeroDivisionError at ")
    assert end.message == "the interpreter's shutdown ended the process with exit code 3"
    assert trial.output.startswith("firstx")
    assert trial.output.endswith("xlast")
    assert "\n... 12010 bytes more ...\n" in trial.output
    assert "Traceback" in trial.log
