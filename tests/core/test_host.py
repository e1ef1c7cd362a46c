"""The host in a separate process, with engines that a test installs."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from landlord_test_target.alerts import read_alerts
from landlord_test_target.dashboard import read_panels
from landlord_test_target.forks import Host, fork_piped_host
from landlord_test_target.harness import free_port
from landlord_test_target.promql import find_unknown_names, read_series
from landlord_test_target.scrape import PREFIX, current_states, samples

ROOT = Path(__file__).parents[2]
HOST = Path(sys.executable).with_name("landlord-host")

ENGINE = """
import asyncio
import signal
import sys
import time
import attrs
from landlord_engines_core.engine import (
    Capability, EngineFactory, EngineInfo, Registration, RegistrationState, Support, WorkerEngine,
)
from landlord_engines_core.errors import RegistrationFailed
from landlord_test_target.in_memory import InMemorySteps

BODY = b'{"tenant_id": "t", "operation": "provision", "desired_config": {}}'

@attrs.frozen(kw_only=True)
class Settings:
    mode: str = ""

class Engine(WorkerEngine):
    def __init__(self, context):
        self.mode = context.settings.mode
        if self.mode == "not made":
            raise ValueError("sesame")
        if self.mode == "exits when made":
            sys.exit(0)
        if self.mode == "blocks when made":
            print("listens", flush=True)
            time.sleep(60)
        self.end = asyncio.Event()
        self.run_job = context.run_job

    async def serve(self, started):
        if self.mode == "returns":
            return
        if self.mode == "breaks":
            raise ZeroDivisionError
        if self.mode == "exits":
            sys.exit(0)
        if self.mode == "takes":
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, print, "mine")
            loop.remove_signal_handler(signal.SIGTERM)
        if self.mode == "grabs":
            signal.signal(signal.SIGTERM, lambda *_: None)
        if self.mode != "late":
            started()
        if self.mode == "exits in a task":
            task = asyncio.create_task(self.exit())
        if self.mode == "works":
            job = asyncio.create_task(self.run_job(BODY, InMemorySteps()))
        print("listens", flush=True)
        if self.mode == "blocks":
            time.sleep(60)
        while self.mode == "deathless":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass
        await self.end.wait()
        if self.mode == "works":
            job.cancel()

    async def exit(self):
        sys.exit(0)

    async def register(self):
        if self.mode == "never registers":
            await asyncio.Event().wait()
        if self.mode == "alone":
            raise RegistrationFailed("nobody there")
        if self.mode == "behind":
            return Registration(state=RegistrationState.NOT_LATEST, detail="another is")
        return Registration(state=RegistrationState.REGISTERED)

    async def dry_run_registration(self):
        if self.mode == "raises":
            raise RuntimeError("sesame")
        return Registration(state=RegistrationState.REGISTERED, detail="would be new")

    async def shutdown(self, grace):
        print("drains", flush=True)
        if self.mode == "hangs":
            await asyncio.Event().wait()
        if self.mode != "slow":
            self.end.set()

info = EngineInfo(
    name="own",
    contract=1,
    capabilities={Capability.TENANT_LOCK: Support.FULL, Capability.DRY_RUN: Support.FULL},
)
factory = EngineFactory(info=info, settings_type=Settings, create_engine=Engine)
"""

COMPUTE = """
import asyncio
import time
from landlord_engines_core.compute import ComputeEngineFactory, ComputeEngineInfo, send
from landlord_engines_core.compute.mock import MockCompute, MockSettings

class Slow(MockCompute):
    longest_carry = 60.0

    async def provision(self, spec):
        print("asked", flush=True)
        await send(lambda: asyncio.sleep(60))

class Stuck(MockCompute):
    async def provision(self, spec):
        print("asked", flush=True)
        time.sleep(60)

def fail(context):
    raise KeyError("sesame")

def declare(name, create_engine):
    info = ComputeEngineInfo(name=name, contract=1)
    return ComputeEngineFactory(
        info=info, settings_type=MockSettings, create_engine=create_engine
    )

failing = declare("failing", fail)
slow = declare("slow", lambda context: Slow())
stuck = declare("stuck", lambda context: Stuck())
"""


@pytest.fixture
def distribution_folder(tmp_path: Path) -> Path:
    """A folder that holds a distribution with both kinds of engines."""
    (tmp_path / "own_engine.py").write_text(dedent(ENGINE))
    (tmp_path / "own_compute.py").write_text(dedent(COMPUTE))
    info = tmp_path / "own-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[landlord.worker_engines]\nown = own_engine:factory\n"
        "[landlord.compute_engines]\nfailing = own_compute:failing\nslow = own_compute:slow\n"
        "stuck = own_compute:stuck\n"
    )
    return tmp_path


def command(mode: str, *arguments: str) -> tuple[str, ...]:
    arguments_of_test = (
        "--engine=own",
        f"--set=workflow.own.mode={mode}",
        "--set=worker.probe_address=",
    )
    return (str(HOST), *arguments_of_test, *arguments)


Start = Callable[..., Host]
StartAnew = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(distribution_folder: Path) -> Iterator[Start]:
    """Start a host with a mode of the engine, in the installed engine's folder."""
    with ExitStack() as running:

        def start_host(mode: str, *arguments: str) -> Host:
            host = fork_piped_host(command(mode, *arguments), distribution_folder, os.environ)
            running.enter_context(closing(host))
            return host

        yield start_host


@pytest.fixture
def start_interpreter(distribution_folder: Path) -> Iterator[StartAnew]:
    """Start a host in a new interpreter, whose streams and signals a test can choose."""
    running: list[subprocess.Popen[str]] = []

    def start_host(mode: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(distribution_folder)}
        process = subprocess.Popen(
            command(mode, *arguments),
            text=True,
            cwd=distribution_folder,
            env=environment,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )
        running.append(process)
        return process

    yield start_host
    for process in running:
        with process:
            process.kill()


@contextmanager
def wait_line(process: Host | subprocess.Popen[str], line: str) -> Iterator[None]:
    """Wait until the process has printed this line, then run the block."""
    assert process.stdout is not None
    assert process.stdout.readline().strip() == line
    yield


def wait_end(process: Host | subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end, and return the exit code and the standard error."""
    _, text = process.communicate(timeout=30)
    assert process.returncode is not None
    return process.returncode, text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_first_signal_drains_the_worker_and_ends_with_0(
    start: Start, number: signal.Signals
) -> None:
    process = start("")

    with wait_line(process, "listens"):
        process.send_signal(number)

    assert wait_end(process)[0] == 0


def test_a_second_signal_ends_it_at_once_with_1(start: Start) -> None:
    process = start("slow", "--set=worker.drain_timeout=60s")
    with wait_line(process, "listens"):
        process.terminate()
    with wait_line(process, "drains"):
        process.terminate()

    code, text = wait_end(process)

    assert code == 1
    assert "second signal" in text


def test_a_second_signal_ends_a_worker_whose_engine_cannot_be_cancelled(start: Start) -> None:
    process = start("deathless", "--set=worker.drain_timeout=60s")
    with wait_line(process, "listens"):
        process.terminate()
    with wait_line(process, "drains"):
        process.terminate()

    assert wait_end(process)[0] == 1


def test_a_second_signal_ends_a_worker_whose_event_loop_is_blocked(start: Start) -> None:
    process = start("blocks", "--set=worker.drain_timeout=60s")
    with wait_line(process, "listens"):
        process.terminate()
        # Of two pending signals with the same number, the system may drop one.
        process.send_signal(signal.SIGINT)

    code, text = wait_end(process)

    assert code == 1
    assert "second signal" in text


@pytest.mark.parametrize(
    ("mode", "expected_line"), [("blocks", "in serve"), ("blocks when made", "in __init__")]
)
def test_an_engine_that_blocks_the_drain_is_named_with_its_line(
    start: Start, mode: str, expected_line: str
) -> None:
    process = start(mode, "--set=worker.drain_timeout=0")
    with wait_line(process, "listens"):
        process.terminate()

    code, text = wait_end(process)

    assert code == 3
    assert "the drain did not end; worker engine own at own_engine.py:" in text
    assert expected_line in text


def test_a_compute_engine_that_blocks_the_drain_is_named_with_its_line(start: Start) -> None:
    process = start("works", "--set=worker.compute_provider=stuck", "--set=worker.drain_timeout=0")
    with wait_line(process, "listens"), wait_line(process, "asked"):
        process.terminate()

    code, text = wait_end(process)

    assert code == 3
    # The module has three engines, and its line does not tell which of them it is.
    assert "the drain did not end; compute engine failing or compute engine slow" in text
    assert "or compute engine stuck at own_compute.py:" in text
    assert "in provision" in text


def test_a_worker_under_nohup_survives_a_hangup(start_interpreter: StartAnew) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = start_interpreter("", preexec_fn=ignore)
    with wait_line(process, "listens"):
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGUSR1)

    assert wait_end(process)[0] == -signal.SIGUSR1


@pytest.mark.parametrize("mode", ["takes", "grabs"])
def test_an_engine_that_replaces_a_signal_handler_is_named_and_the_worker_drains(
    start: Start, mode: str
) -> None:
    process = start(mode)
    with wait_line(process, "listens"):
        process.terminate()

    with wait_line(process, "drains"):
        code, text = wait_end(process)

    assert code == 3
    assert "a signal of the host was taken" in text
    assert "own" in text
    assert "replaced the host's handler of SIGTERM" in text


def test_an_engine_whose_shutdown_hangs_is_named_and_the_code_is_3(start: Start) -> None:
    process = start("hangs", "--set=worker.drain_timeout=0")
    with wait_line(process, "listens"):
        process.terminate()

    code, text = wait_end(process)

    assert code == 3
    assert "worker engine own did not end within 0 s" in text


@pytest.mark.parametrize(
    ("mode", "expected_log"),
    [
        ("exits", "worker engine own raised SystemExit"),
        ("exits when made", "worker engine own raised SystemExit in create_engine"),
        ("exits in a task", "unexpected SystemExit at own_engine:"),
    ],
)
def test_an_engine_that_exits_with_0_ends_the_worker_with_3(
    start: Start, mode: str, expected_log: str
) -> None:
    code, text = wait_end(start(mode))

    assert code == 3
    assert expected_log in text
    assert "own" in text


def test_a_registration_on_request_that_never_returns_ends_with_4(start: Start) -> None:
    code, text = wait_end(
        start("never registers", "--set=worker.register_timeout=100ms", "register")
    )

    assert code == 4
    assert "did not return within 0.1 s" in text


def test_a_closed_standard_error_is_no_error(start_interpreter: StartAnew) -> None:
    def close() -> None:
        os.close(2)

    process = start_interpreter("", "--log-level=debug", preexec_fn=close, stderr=None)
    with wait_line(process, "listens"):
        process.terminate()

    assert process.wait(30) == 0


def test_a_standard_error_without_a_reader_is_no_error(start_interpreter: StartAnew) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start_interpreter("", stderr=writer)
    os.close(writer)
    with wait_line(process, "listens"):
        process.terminate()

    assert process.wait(30) == 0


def test_a_full_log_pipe_blocks_nothing(start_interpreter: StartAnew) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b" " * 4096)
    os.set_blocking(writer, True)
    process = start_interpreter("", stderr=writer)
    os.close(writer)
    with wait_line(process, "listens"):
        process.terminate()

    with wait_line(process, "drains"):
        code = process.wait(30)

    os.close(reader)
    assert code == 0


def test_a_drain_that_an_engine_never_ends_ends_soon_after_its_timeout(start: Start) -> None:
    process = start("deathless", "--set=worker.drain_timeout=0")

    with wait_line(process, "listens"):
        process.terminate()

    assert wait_end(process)[0] == 3


def test_a_signal_while_it_registers_drains_the_worker(start: Start) -> None:
    process = start("alone")

    with wait_line(process, "listens"):
        process.terminate()

    assert wait_end(process)[0] == 0


def test_fail_fast_ends_with_4_and_names_the_failed_registration(start: Start) -> None:
    code, text = wait_end(start("alone", "--fail-fast", "--set=worker.register_timeout=100ms"))

    assert code == 4
    assert "nobody there" in text


def test_an_engine_that_returns_at_once_ends_the_worker_with_3(start: Start) -> None:
    code, text = wait_end(start("returns"))

    assert code == 3
    assert "worker engine own stopped unexpectedly" in text


def test_a_failing_engine_ends_the_worker_with_3(start: Start) -> None:
    code, text = wait_end(start("breaks"))

    assert code == 3
    assert "Traceback" not in text
    assert "worker engine own raised ZeroDivisionError" in text


def test_an_engine_that_cannot_be_created_ends_with_3_and_no_value_is_shown(start: Start) -> None:
    code, text = wait_end(start("not made"))

    assert code == 3
    assert "worker engine own raised ValueError in create_engine" in text
    assert "sesame" not in text


def test_a_compute_engine_that_cannot_be_created_is_named_and_no_value_is_shown(
    start: Start,
) -> None:
    code, text = wait_end(start("", "--set=worker.compute_provider=failing"))

    assert code == 2
    assert "failing (own 1.0" in text
    assert "KeyError" in text
    assert "sesame" not in text


def test_an_unexpected_error_is_one_line_with_its_location_and_without_values(start: Start) -> None:
    code, text = wait_end(start("raises", "check"))

    assert code == 3
    assert "worker engine own raised RuntimeError in dry_run_registration" in text
    assert re.search(r"at own_engine:\d+ \(own 1\.0\)", text)
    assert "Traceback" not in text
    assert "sesame" not in text


def test_an_unexpected_error_shows_its_traceback_on_request(start: Start) -> None:
    code, text = wait_end(start("raises", "--debug", "check"))

    assert code == 3
    assert "Traceback" in text
    assert "RuntimeError: sesame" in text


def test_a_worker_is_registered_once_on_request(start: Start) -> None:
    process = start("", "register")

    with wait_line(process, "drains"), wait_line(process, "registered:"):
        pass

    assert wait_end(process)[0] == 0


def test_a_registration_on_request_that_is_not_the_latest_ends_with_4(start: Start) -> None:
    code, text = wait_end(start("behind", "register"))

    assert code == 4
    assert "not registered as the latest: another is" in text


def test_check_reports_the_effect_of_a_registration(start: Start) -> None:
    process = start("", "check")

    output, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "registration: would be new" in output


@pytest.mark.parametrize("arguments", [[], ["check"]])
@pytest.mark.parametrize(
    ("settings", "expected_text", "hint"),
    [
        (
            ["worker.step_timeout=20s"],
            "worker.health_timeout (60s) is not below worker.step_timeout (20s)",
            "set worker.health_timeout below 20s",
        ),
        (
            ["worker.compute_provider=slow", "worker.step_timeout=50s", "worker.health_timeout=5s"],
            "compute engine slow may carry a request or a switch for 60s",
            "set worker.step_timeout to 60s or more, or lower the timeouts of compute.slow",
        ),
        (
            ["worker.compute_provider=slow", "worker.history_retention=7m"],
            "worker.history_retention (420s) ends before the last check",
            "set worker.history_retention to 430s or more",
        ),
    ],
)
def test_limits_that_do_not_fit_end_with_2_and_say_what_to_set(
    start: Start, arguments: list[str], settings: list[str], expected_text: str, hint: str
) -> None:
    code, text = wait_end(start("", *(f"--set={setting}" for setting in settings), *arguments))

    assert code == 2
    assert expected_text in text
    assert hint in text


def test_a_drain_names_the_steps_that_it_cancels(start: Start) -> None:
    settings = ("--set=worker.compute_provider=slow", "--set=worker.drain_timeout=300ms")
    process = start("works", *settings)
    with wait_line(process, "listens"), wait_line(process, "asked"):
        process.terminate()

    code, text = wait_end(process)

    assert code == 0
    assert "step cancelled" in text
    assert '"step": "apply"' in text
    assert "requests to targets were cut" in text


def read_probe(port: int, path: str) -> tuple[int, str]:
    """Read a probe of the worker."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_worker_whose_engine_starts_is_alive_and_starting(start: Start) -> None:
    port = free_port()
    process = start("late", f"--set=worker.probe_address=127.0.0.1:{port}")

    with wait_line(process, "listens"):
        ready, alive = read_probe(port, "/readyz"), read_probe(port, "/livez")
        metrics = read_probe(port, "/metrics")[1]

    assert ready[0] == 503
    assert '"reasons": ["starting' in ready[1]
    assert alive[0] == 200
    assert current_states(metrics, "state") == ["starting"]
    assert current_states(metrics, "registration") == ["unknown"]
    process.terminate()
    assert wait_end(process)[0] == 0


def test_the_probes_answer_until_the_drain_is_over(start: Start) -> None:
    port = free_port()
    address = f"--set=worker.probe_address=127.0.0.1:{port}"
    process = start("slow", address, "--set=worker.drain_timeout=60s")
    with wait_line(process, "listens"):
        process.terminate()

    with wait_line(process, "drains"):
        ready, alive = read_probe(port, "/readyz"), read_probe(port, "/livez")
        metrics = samples(read_probe(port, "/metrics")[1])

    assert (ready[0], alive[0]) == (503, 200)
    assert '"reasons": ["draining' in ready[1]
    assert metrics['state{state="draining"}'] == 1
    assert 0 < metrics["drain_remaining_seconds"] <= 60
    process.terminate()
    assert wait_end(process)[0] == 1


def test_probes_whose_address_is_taken_end_the_worker_with_3(start: Start) -> None:
    port = free_port()
    address = f"--set=worker.probe_address=127.0.0.1:{port}"
    first = start("", address)

    with wait_line(first, "listens"):
        code, text = wait_end(start("", address))

    assert code == 3
    assert f"LE111: the probes cannot listen on worker.probe_address 127.0.0.1:{port}" in text


def test_an_invalid_probe_address_ends_with_2(start: Start) -> None:
    code, text = wait_end(start("", "--set=worker.probe_address=9082"))

    assert code == 2
    assert "worker.probe_address must be host:port" in text


@pytest.fixture
def metrics_text(start: Start) -> str:
    """Return the metrics of a worker that has had no job."""
    port = free_port()
    process = start(
        "",
        f"--set=worker.probe_address=127.0.0.1:{port}",
        "--set=worker.compute_provider=mock",
    )
    with wait_line(process, "listens"):
        text = read_probe(port, "/metrics")[1]
    process.terminate()
    assert wait_end(process)[0] == 0
    return text


def test_the_documented_table_of_metrics_matches_a_worker(metrics_text: str) -> None:
    kinds = re.findall(rf"^# TYPE {PREFIX}(\w+) (\w+)$", metrics_text, re.MULTILINE)
    in_metrics = {(name, kind, *_labels(metrics_text, name)) for name, kind in kinds}
    document = (ROOT / "docs" / "operating" / "monitor.md").read_text()
    rows = re.findall(rf"^\| `{PREFIX}(\w+)` \| (\w+) \|([^|]*)\|", document, re.MULTILINE)
    in_document = {
        (name, kind, *sorted(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows
    }

    assert in_document == in_metrics


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there are no process metrics")
def test_the_dashboard_and_the_alerts_name_only_what_a_worker_shows(metrics_text: str) -> None:
    series = read_series(metrics_text)
    expressions = {
        target.expression: target.legend for panel in read_panels() for target in panel.targets
    }
    expressions |= {
        alert.expression: " ".join(alert.annotations.values()) for alert in read_alerts()
    }

    unknown = [
        (expression, name)
        for expression, text in expressions.items()
        for name in find_unknown_names(expression, text, series)
    ]

    assert len(expressions) > 40
    assert unknown == []


def _labels(text: str, name: str) -> list[str]:
    matches = re.findall(rf"^{PREFIX}{name}(?:_bucket|_count)?\{{(.*)\}} ", text, re.MULTILINE)
    labels = {label for match in matches for label in re.findall(r"(\w+)=", match)}
    return sorted(labels - {"le"})


def test_a_worker_logs_its_version_and_unreadable_distributions_at_its_start(
    start: Start, tmp_path: Path
) -> None:
    info = tmp_path / "bad-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[x]\nno equals sign\n")
    process = start("", "--log-format=json")

    with wait_line(process, "listens"):
        process.terminate()
    code, text = wait_end(process)

    lines = [json.loads(line) for line in text.splitlines()]
    (starting,) = [line for line in lines if line["message"] == "worker starting"]
    (unread,) = [line for line in lines if line["message"] == "a distribution cannot be read"]
    assert code == 0
    assert starting.keys() >= {"version", "engine_version"}
    assert (starting["engine"], starting["contract"], starting["pid"]) == ("own", 1, process.pid)
    assert unread["distribution"] == "bad 1.0"
