"""Calls in processes of their own, and how they end."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from landlord_engines_core.conformance.children import call_in_child, start_child
from landlord_engines_core.conformance.story import CannotRun, DoesNotApply, RuleBroken


def speak() -> str:
    sys.stdout.write("to the output\n")
    sys.stderr.write("to the log\n")
    return "an answer"


def read_variable() -> str | None:
    return os.environ.get("LANDLORD_TEST_VARIABLE")


def fail(error: Exception) -> None:
    raise error


def test_a_calls_answer_output_and_log_come_back(tmp_path: Path) -> None:
    ended = start_child(speak, tmp_path).wait()

    assert (ended.code, ended.answer) == (0, "an answer")
    assert (ended.output, ended.log) == ("to the output\n", "to the log\n")
    assert ended.end == "ended the process with exit code 0"


def test_a_child_has_the_environment_of_the_moment_of_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_child(speak, tmp_path / "first").wait()
    monkeypatch.setenv("LANDLORD_TEST_VARIABLE", "set since")

    assert call_in_child(read_variable, tmp_path / "second") == "set since"


def test_a_call_that_hangs_is_killed(tmp_path: Path) -> None:
    ended = start_child(partial(time.sleep, 60), tmp_path).wait(0.2)

    assert ended.code is None
    assert "did not return" in ended.end


def test_a_child_gets_signals_until_it_has_ended(tmp_path: Path) -> None:
    child = start_child(partial(time.sleep, 60), tmp_path)
    child.send_signal(signal.SIGKILL)
    ended = child.wait()

    child.send_signal(signal.SIGKILL)

    assert ended.end == "was ended by SIGKILL"


@pytest.mark.parametrize("kind", [RuleBroken, DoesNotApply, CannotRun])
def test_the_end_of_a_rules_test_passes_on(kind: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(kind, match="as said"):
        call_in_child(partial(fail, kind("as said")), tmp_path)


def test_a_call_without_an_answer_breaks_the_rule(tmp_path: Path) -> None:
    with pytest.raises(RuleBroken, match="exit code 7"):
        call_in_child(partial(os._exit, 7), tmp_path)
    with pytest.raises(RuleBroken, match="exit code 1") as broken:
        call_in_child(partial(fail, ValueError("as said")), tmp_path)
    assert broken.value.story[-1] == "ValueError: as said"


def test_a_broken_rule_keeps_its_story_on_its_way(tmp_path: Path) -> None:
    with pytest.raises(RuleBroken) as broken:
        call_in_child(partial(fail, RuleBroken("broken", "first", "second")), tmp_path)

    assert broken.value.story == ("first", "second")
