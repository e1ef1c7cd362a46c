"""Plugins that are broken in every known way, installed together with a sound one.

Each one is named with its distribution and the next step, and harms no other. How a worker ends whose own
engine breaks while it serves is in test_host.py.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

from landlord_engines_core.catalog import COMPUTE_ENGINES, WORKER_ENGINES, read_catalog
from landlord_engines_core.cli import checking
from landlord_engines_core.cli.checking import run_check
from landlord_engines_core.cli.commands import landlord_host
from landlord_engines_core.cli.options import Options
from landlord_engines_core.trial import describe
from landlord_engines_core.trial.result import Trial
from landlord_test_target.forks import fork_piped_host
from landlord_test_target.installing import link_packages, write_distribution

PRELUDE = """
import asyncio, ctypes, os, signal, subprocess, sys, threading, time
from landlord_test_target.broken import MockCompute, NoSettings, Sound, compute_factory_of, factory_of
"""

LIMIT = 12.0
"""Seconds for each stage. A sound engine takes milliseconds, and seconds on a busy machine."""


@attrs.frozen
class Broken:
    """A broken plugin.

    Attributes:
        name: The name of its entry point, and with ``bad-`` that of its distribution.
        code: Its module, after the prelude; ``{factory}`` is a sound factory.
        expected_report: A part of the report on the plugin.
        exit_code: The exit code of ``check``.
    """

    name: str
    code: str
    expected_report: str
    exit_code: int = 2
    group: str = WORKER_ENGINES
    target: str = ""

    @property
    def distribution(self) -> str:
        return f"bad-{self.name.lower().replace(' ', '-')}"

    def install(self, folder: Path) -> None:
        module = self.distribution.replace("-", "_")
        points = {self.name: self.target or f"{module}:factory"}
        code = f"{PRELUDE}\n{self.code.format(factory=f'factory = factory_of({self.name!r})')}"
        write_distribution(folder, self.distribution, points, code, group=self.group)


def method(
    name: str, signature: str, body: str, expected_report: str, exit_code: int = 3
) -> Broken:
    """A plugin whose engine has one broken method."""
    code = f"class Engine(Sound):\n    {signature}: {body}\nfactory = factory_of({name!r}, Engine)"
    return Broken(name, code, expected_report, exit_code)


def compute(name: str, create_engine: str, expected_report: str, exit_code: int = 2) -> Broken:
    """A compute engine of a plugin, as the expression that creates it."""
    code = f"factory = compute_factory_of({name!r}, lambda context: {create_engine})"
    return Broken(name, code, expected_report, exit_code, COMPUTE_ENGINES)


INIT = "def __init__(self, context)"
CHECK = "def check(self)"
DRY_RUN = "async def dry_run_registration(self)"
SHUTDOWN = "async def shutdown(self, grace)"

BY_METADATA = (
    Broken("tomorrow", "", "implements version 1", group=f"{WORKER_ENGINES}.v2"),
    Broken("misspelt", "", "no host reads the group", group="landlord_worker_engines"),
    Broken("Odd Name", "{factory}", "does not match"),
    Broken("no-module", "", "is not module:object", target="not a target"),
    Broken("uninstalled", "", "its package gone_away is not installed", target="gone_away:f"),
)

BY_IMPORT = (
    Broken("import-error", "raise RuntimeError", "cannot be imported: RuntimeError"),
    Broken("syntax-error", "def", "cannot be imported: SyntaxError"),
    Broken("dependency", "import gone_away", "No module named 'gone_away'"),
    Broken("no-object", "", "cannot be imported: AttributeError"),
    Broken("hangs", "time.sleep(600)", "at bad_hangs.py:5 in <module>"),
    Broken("holds-lock", "ctypes.PyDLL(None).sleep(600)", "and blocks the interpreter"),
    Broken("exits", "sys.exit(0)", "cannot be imported: SystemExit"),
    Broken("exits-at-once", "os._exit(0)", "ended the process with exit code 0"),
    # A real Ctrl-C looks the same, so it is not translated.
    Broken("interrupts", "raise KeyboardInterrupt", "KeyboardInterrupt", 3),
    Broken("crashes", "ctypes.string_at(0)", "ended the process by SIGSEGV"),
    Broken("kills-itself", "os.kill(0, signal.SIGKILL)", "ended the process by SIGKILL"),
    Broken("wrong-type", "factory = 5", "object of type int"),
    Broken("takes-sigterm", "signal.signal(15, print)\n{factory}", "host's handler of SIGTERM"),
    Broken("contract-99", "factory = factory_of('contract-99', contract=99)", "version 99"),
    Broken("other-name", "factory = factory_of('another')", "'another'"),
    Broken(
        "no-attrs", "factory = factory_of('no-attrs', settings_type=dict)", "not an attrs class"
    ),
    Broken(
        "prints",
        "print('look at me')\nprint('look at me too', file=sys.stderr)\n{factory}",
        "look at me",
    ),
    Broken("no-factory", "factory = 5", "object of type int", group=COMPUTE_ENGINES),
    Broken(
        "never-exits",
        "threading.Thread(target=time.sleep, args=[600]).start()\n{factory}",
        "the interpreter's shutdown after worker engine never-exits (bad-never-exits 1.0,",
        3,
    ),
)

BY_CHECK = (
    method("blocks-create", INIT, "time.sleep(600)", "in __init__"),
    method("exits-create", INIT, "sys.exit(0)", "SystemExit"),
    method("crashes-create", INIT, "ctypes.string_at(0)", "ended the process by SIGSEGV"),
    method("raises-create", INIT, "raise ValueError('sesame')", "ValueError"),
    Broken("none-create", "factory = factory_of('none-create', lambda context: None)", "NoneType"),
    method(
        "takes-signal",
        INIT,
        "asyncio.get_running_loop().add_signal_handler(15, print)",
        "the creation of worker engine takes-signal (bad-takes-signal 1.0,",
    ),
    method("blocks-check", CHECK, "time.sleep(600)", "in check"),
    method("blocks-dry-run", DRY_RUN, "time.sleep(600)", "in dry_run_registration"),
    method("waits-dry-run", DRY_RUN, "await asyncio.Event().wait()", "did not return", 4),
    method("raises-dry-run", DRY_RUN, "raise BaseException('sesame')", "BaseException"),
    method("blocks-shutdown", SHUTDOWN, "time.sleep(600)", "in shutdown"),
    Broken(
        "leaves-a-process",
        "import multiprocessing\n"
        "class Engine(Sound):\n"
        "    def __init__(self, context):\n        super().__init__(context)\n"
        "        multiprocessing.get_context('fork').Process(target=time.sleep, args=[600]).start()\n"
        "factory = factory_of('leaves-a-process', Engine)",
        "the interpreter's shutdown after worker engine leaves-a-process (bad-leaves",
        3,
    ),
    Broken("compute-exits", "sys.exit(0)", "cannot be imported: SystemExit", 2, COMPUTE_ENGINES),
    compute("compute-none", "None", "NoneType"),
    compute("compute-blocks", "time.sleep(600)", "compute engine compute-blocks (bad-compute-b", 3),
    compute("compute-crashes", "ctypes.string_at(0)", "ended the process by SIGSEGV", 3),
    Broken(
        "compute-schema",
        "class Engine(MockCompute):\n"
        "    def config_schema(self): return dict(type='sesame')\n"
        "factory = compute_factory_of('compute-schema', lambda context: Engine())",
        "config_schema",
        2,
        COMPUTE_ENGINES,
    ),
    Broken(
        "compute-reach",
        "class Engine(MockCompute):\n"
        "    async def reach(self): sys.exit(0)\n"
        "factory = compute_factory_of('compute-reach', lambda context: Engine())",
        "SystemExit",
        3,
        COMPUTE_ENGINES,
    ),
)


MEASURED = (
    "Odd Name",
    "kills-itself",
    "takes-sigterm",
    "wrong-type",
    "exits-at-once",
    "compute-none",
)
"""The plugins of which coverage measures the processes."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """An import path on which only these distributions are installed."""
    installed = install_all(tmp_path_factory.mktemp("installed"))
    return [*link_packages(tmp_path_factory.mktemp("packages")), str(installed)]


def install_all(folder: Path) -> Path:
    """Install all broken plugins, a sound one, twins, and distributions that cannot be read."""
    for broken in (*BY_METADATA, *BY_IMPORT, *BY_CHECK):
        broken.install(folder)
    for name, distribution in {"sound": "sound", "twin": "twin-one", "twin ": "twin-two"}.items():
        module = distribution.replace("-", "_")
        code = f"{PRELUDE}factory = factory_of({name.strip()!r})"
        write_distribution(folder, distribution, {name.strip(): f"{module}:factory"}, code)
    for name, points in {"unequal": b"[x]\nno equals sign\n", "not_utf8": b"[\xff]\n"}.items():
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_bytes(points)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _only_these(path: list[str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # Most engines of the list wait, and a plain run has two cores.
        patch.setattr(os, "cpu_count", lambda: 8)
        patch.setattr(sys, "path", path)
        patch.setattr(describe, "LONGEST_STAGE", LIMIT)
        patch.setattr(checking, "LONGEST_STAGE", LIMIT)
        yield


def entries(name: str, document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [engine for engine in document["engines"] if engine["name"] == name]


def is_listed(broken: Broken, document: Mapping[str, Any]) -> bool:
    """Whether the list has a plugin's distribution, its one problem and the next step."""
    engines = entries(broken.name, document)
    # A folder of another test may be on the path, with an engine of the same name.
    (engine,) = [entry for entry in engines if entry["distribution"] == broken.distribution]
    problem = engine["problems"][-1]
    return broken.expected_report in problem["text"] and bool(problem["hint"])


# One test for all plugins, because each test process would have to read the list again.
@pytest.mark.long
def test_the_list_names_each_plugin_that_cannot_be_loaded_and_the_next_step() -> None:
    result = CliRunner().invoke(landlord_host, ["engines", "--wide", "--json"])
    document = json.loads(result.stdout)
    (sound,) = entries("sound", document)

    assert result.exit_code == 0
    assert [
        broken for broken in (*BY_METADATA, *BY_IMPORT) if not is_listed(broken, document)
    ] == []
    assert [entry["problems"][0]["kind"] for entry in entries("twin", document)] == 2 * [
        "duplicate"
    ]
    assert {entry["name"] for entry in document["damaged"]} == {"unequal", "not-utf8"}
    assert sound["problems"] == []
    assert sound["declares"] == {
        "contract": 1,
        "capabilities": {"tenant-lock": "full", "dry-run-registration": "full"},
    }
    (compute_none,) = entries("compute-none", document)
    assert compute_none["declares"] == {"contract": 1, "capabilities": {}}


# The quick form of the long tests above and below.
def test_each_engine_of_a_list_is_asked_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = [each for each in (*BY_METADATA, *BY_IMPORT, *BY_CHECK) if each.name in MEASURED]
    for plugin in plugins:
        plugin.install(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path[:-1], str(tmp_path)])

    result = CliRunner().invoke(landlord_host, ["engines", "--wide", "--json"])

    document = json.loads(result.stdout)
    listed = [each for each in plugins if each not in BY_CHECK]
    assert [each for each in listed if not is_listed(each, document)] == []
    (compute_none,) = entries("compute-none", document)
    assert compute_none["declares"] == {"contract": 1, "capabilities": {}}


def test_an_engine_that_blocks_the_interpreter_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import ctypes\nctypes.PyDLL(None).sleep(600)"
    write_distribution(tmp_path, "blocker", {"blocker": "blocker:factory"}, code)
    monkeypatch.setattr(sys, "path", [*sys.path[:-1], str(tmp_path)])
    # Above the time until the engine blocks: until then, the child itself could report the limit.
    monkeypatch.setattr(describe, "LONGEST_STAGE", 2.0)
    (engine,) = read_catalog().find_named(WORKER_ENGINES, "blocker")

    trial = describe.describe_engine(engine)

    (failure,) = trial.failures
    assert "did not end within 2 s, and blocks the interpreter" in failure.message


def checked(broken: Broken) -> Trial:
    """What ``check`` finds of a plugin."""
    values = {"worker.register_timeout": "2s"}
    engine = f"{broken.distribution}:{broken.name}"
    if broken.group == COMPUTE_ENGINES:
        engine, values["worker.compute_provider"] = "sound", broken.name
    return run_check(Options(engine=engine, config=None, values=values, fail_fast=False))


def is_blamed(broken: Broken, trial: Trial) -> bool:
    """Whether a check names a plugin's distribution, its fault and the next step, and no value."""
    failure = trial.failures[0]
    named = any(broken.distribution in finding.text for finding in trial.findings)
    # A plugin that cannot be chosen has no finding of its own.
    named = named or broken.distribution in failure.message
    right = (failure.exit_code == broken.exit_code) and bool(failure.hint)
    return (
        named and right and broken.expected_report in failure.message and "sesame" not in str(trial)
    )


@pytest.mark.long
def test_check_names_each_plugin_that_fails_a_call_and_the_next_step() -> None:
    # Most of the checks wait for a timeout, so they run at the same time.
    with ThreadPoolExecutor(6) as pool:
        trials = list(zip(BY_CHECK, pool.map(checked, BY_CHECK), strict=True))

    assert [trial for trial in trials if not is_blamed(*trial)] == []


@pytest.mark.long
@pytest.mark.parametrize("broken", [*BY_METADATA, *BY_IMPORT], ids=lambda plugin: plugin.name)
def test_check_names_each_plugin_that_cannot_be_loaded(broken: Broken) -> None:
    trial = checked(broken)

    if broken.name == "prints":
        # It is no failure.
        assert (trial.failures, broken.expected_report in trial.output) == ((), True)
    else:
        assert is_blamed(broken, trial), trial


def invoked(*arguments: str) -> tuple[int, Mapping[str, Any]]:
    """The exit code of a check, and its document."""
    result = CliRunner().invoke(landlord_host, [*arguments, "check", "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize(
    ("name", "code", "exit_code"),
    [
        ("sound", "", 0),
        ("twin", "LE202", 2),
        ("twin-two:twin", "", 0),
        ("lost", "LE201", 2),
        ("bad-hangs:hangs", "LE204", 2),
        ("exits-create", "LE301", 3),
    ],
)
def test_a_check_ends_with_the_code_of_its_first_failure(
    name: str, code: str, exit_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name != "bad-hangs:hangs":
        # No other one waits, and a sound engine may be slow on a busy machine.
        monkeypatch.setattr(checking, "LONGEST_STAGE", 120.0)
    ended, document = invoked("--engine", name)
    failures = [check["failure"] for check in document["checks"] if check["failure"]]

    assert (ended, document["exit_code"]) == (exit_code, exit_code)
    assert [failure["code"] for failure in failures] == ([code] if code else [])


def test_a_check_shows_what_an_engine_writes_where_only_the_host_may() -> None:
    result = CliRunner().invoke(landlord_host, ["--engine", "prints", "check"])

    assert result.exit_code == 0
    assert "look at me" not in result.stdout
    assert "registration: would be new" in result.stdout
    assert "one of these engines wrote to it (worker engine prints (bad-prints" in result.stderr
    assert "look at me" in result.stderr
    assert "look at me too" in result.stderr


def test_the_worker_of_a_sound_engine_is_harmed_by_none(path: list[str]) -> None:
    command = ("landlord-host", "--engine=sound", "--set=worker.probe_address=")
    worker = fork_piped_host((*command, "--log-format=json"), Path(path[-1]), os.environ)

    with closing(worker):
        while '"registration changed"' not in worker.stderr.readline():
            assert worker.returncode is None
        worker.terminate()
        worker.communicate(30)

    assert worker.returncode == 0
