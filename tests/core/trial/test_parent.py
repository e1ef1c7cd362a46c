"""The parent process of a trial, which survives whatever the engine does."""

import os
import select
import subprocess
from pathlib import Path

import pytest

from landlord_engines_core.trial.parent import _ChildWatch, run_trial
from landlord_engines_core.trial.result import Trial

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


def test_a_child_that_fails_and_then_ends_with_a_code_is_reported_with_the_ends_of_its_output(
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


def test_what_a_child_wrote_before_it_was_killed_is_kept() -> None:
    messages, writer = os.pipe()
    with subprocess.Popen(
        ["/bin/sh", "-c", "echo late; exec sleep 600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    ) as process:
        watch = _ChildWatch(process=process, messages=messages, report=lambda _: None)
        assert process.stdout is not None
        select.select([process.stdout], [], [])
        watch.end()
    os.close(messages)
    os.close(writer)

    assert watch.result().output == "late"
