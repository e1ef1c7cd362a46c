"""The child process of a trial, in which the engine's code runs."""

import os
import signal
from collections.abc import Iterator

import attrs
import pytest

from landlord_engines_core import codec
from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.exit_codes import ExitCode
from landlord_engines_core.trial.child import Reporter, run_body
from landlord_engines_core.trial.result import Message


@attrs.define
class Pipes:
    """A reporter in this process, its pipes, and the exit codes with which the child would have exited."""

    messages: int
    parent: int
    reporter: Reporter
    exit_codes: list[int]

    def messages_sent(self) -> list[Message]:
        lines = os.read(self.messages, 65536).splitlines()
        return [codec.loads(line, Message) for line in lines]


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    messages, descriptor = os.pipe()
    lifeline, parent = os.pipe()
    exit_codes: list[int] = []
    reporter = Reporter(
        descriptor=descriptor,
        lifeline=lifeline,
        limit=0.05,
        exit_code_of=lambda _: ExitCode.USAGE,
        leave=exit_codes.append,
    )
    before = {number: signal.getsignal(number) for number in (15, 2, 1)}
    yield Pipes(messages=messages, parent=parent, reporter=reporter, exit_codes=exit_codes)
    for number, handler in before.items():
        signal.signal(number, handler)
    for end in (messages, descriptor, lifeline):
        os.close(end)


def test_a_stage_that_takes_too_long_is_reported_with_its_line_and_ends_the_process(
    pipes: Pipes,
) -> None:
    for number in (15, 2, 1):
        signal.signal(number, pipes.reporter._receive)
    pipes.reporter.begin("the import of an engine", is_import=True)

    pipes.reporter.watch()

    stage, hang, last = pipes.messages_sent()
    os.close(pipes.parent)
    assert stage.stage is not None
    assert stage.stage.limit == 0.05
    assert hang.finding is not None
    assert hang.finding.failure is not None
    assert hang.finding.failure.code == "LE204"
    assert "did not end within 0.05 s: the worker at " in hang.finding.failure.message
    assert last.stage is not None
    assert last.stage.is_last
    assert pipes.exit_codes == [0]


def test_a_child_whose_parent_is_gone_ends(pipes: Pipes) -> None:
    os.close(pipes.parent)

    pipes.reporter.watch()

    assert pipes.exit_codes == [3]


def test_tracebacks_are_written_on_request_alone(
    pipes: Pipes, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: object, _: Reporter) -> None:
        raise EngineFailed("it failed") from KeyError(arguments)

    def crash(arguments: object, _: Reporter) -> None:
        raise ValueError(arguments)

    os.close(pipes.parent)
    for body in (fail, crash):
        run_body(body, "sesame", pipes.reporter)
    assert capsys.readouterr().err == ""
    pipes.reporter.debug = True
    for body in (fail, crash):
        run_body(body, "sesame", pipes.reporter)

    assert "KeyError: 'sesame'" in (text := capsys.readouterr().err)
    assert "ValueError: sesame" in text
    codes = [
        message.finding.failure.code
        for message in pipes.messages_sent()
        if message.finding and message.finding.failure
    ]
    assert codes == 2 * ["LE301", ""]


def test_a_signal_ends_the_child(pipes: Pipes) -> None:
    os.close(pipes.parent)

    pipes.reporter._receive(signal.SIGTERM)

    assert pipes.exit_codes == [3]
