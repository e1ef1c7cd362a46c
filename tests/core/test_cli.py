"""The command in a separate process: its output and its exit code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core.cli import loading, local_stack
from landlord_engines_core.cli.loading import build_logger
from landlord_engines_core.settings import LogSettings
from landlord_test_target.forks import fork_host

HOST = Path(sys.executable).with_name("landlord-host")
RESTATE = {"admin_endpoint": "http://127.0.0.1:9"}


def command(
    folder: Path, *arguments: str, settings: object = None, **environment: str
) -> tuple[int, str]:
    config = folder / "config.json"
    config.write_text(json.dumps(settings if settings is not None else {}))
    output = folder / f"output-{uuid4().hex}"
    arguments = (str(HOST), "--config", str(config), *arguments)
    code = fork_host(arguments, output, {**variables(folder), **environment}).join()
    text = output.read_text()
    assert "Traceback" not in text
    return code, text


def variables(folder: Path) -> dict[str, str]:
    coverage = {key: value for key, value in os.environ.items() if key.startswith("COVERAGE")}
    variables_of_test = {"HOME": str(folder), "WORKER_PROBE_ADDRESS": "127.0.0.1:0"}
    return {"PATH": "/usr/bin:/bin", **variables_of_test, **coverage}


def test_the_installed_engines_are_listed_with_their_distributions(tmp_path: Path) -> None:
    code, text = command(tmp_path, "engines")

    assert code == 0
    assert "landlord-engines-restate 0.1.0" in text
    assert "landlord-engines-stepfunctions-stub 0.1.0" in text
    assert "landlord-engines-core 0.1.0" in text


def test_the_list_needs_no_settings(tmp_path: Path) -> None:
    assert command(tmp_path, "--config=nowhere", "engines")[0] == 0


def test_the_help_says_how_to_run_and_how_it_ends(tmp_path: Path) -> None:
    code, text = command(tmp_path, "--help")

    assert code == 0
    assert "landlord-host --engine restate" in text
    assert "- 0  the worker drained" in text


@pytest.mark.parametrize(
    ("arguments", "code", "expected_text"),
    [
        (("--engine", "nope"), 2, "LE201: 'nope' is not installed"),
        (("--engine", "stepfunctions"), 5, "LE302: the worker engine 'stepfunctions' is a stub"),
        ((), 2, "no worker engine is named"),
        (("--engine", "restate"), 2, "workflow.restate.admin_endpoint"),
        (("--engine", "restate", "--set", "worker.drain_timeot=1"), 2, "did you mean"),
        (("--set", "worker.drain_timeout"), 2, "has no value"),
        (("--log-level", "loud", "--engine", "restate"), 2, "log.level must be one of"),
        (("--no-such-flag",), 2, "No such option"),
        (("config", "--no-such-flag"), 2, "No such option"),
    ],
)
def test_each_failure_has_its_exit_code_and_names_its_cause(
    tmp_path: Path, arguments: tuple[str, ...], code: int, expected_text: str
) -> None:
    ended, text = command(tmp_path, *arguments)

    assert ended == code
    assert expected_text in text


def test_the_engine_may_be_named_by_landlords_own_setting(tmp_path: Path) -> None:
    settings = {"workflow": {"default_provider": "stepfunctions"}}

    assert command(tmp_path, settings=settings)[0] == 5


def test_a_compute_engine_that_is_not_installed_ends_with_2(tmp_path: Path) -> None:
    settings = {"compute": {"nomad": {}}, "workflow": {"restate": RESTATE}}

    code, text = command(tmp_path, "--engine", "restate", settings=settings)

    assert code == 2
    assert "'nomad' is not installed" in text


def test_a_compute_engine_that_refuses_its_settings_ends_with_2(tmp_path: Path) -> None:
    settings = {"compute": {"target": {}}, "workflow": {"restate": RESTATE}}

    code, text = command(tmp_path, "--engine", "restate", settings=settings)

    assert code == 2
    assert "LE101" in text
    assert "compute.target.url is missing: set it in the file, or as $COMPUTE_TARGET_URL" in text


@pytest.mark.parametrize("command_name", [(), ("check",)])
def test_defaults_that_would_hold_every_tenant_fail_the_start_and_the_check(
    tmp_path: Path, command_name: tuple[str, ...]
) -> None:
    settings = {"workflow": {"restate": RESTATE}, "compute": {"docker": {"restart_policy": False}}}

    code, text = command(tmp_path, "--engine=restate", *command_name, settings=settings)

    assert code == 2
    assert "LE206" in text
    assert "compute.docker.restart_policy breaks the rule 'enum'" in text
    assert "settings: valid" not in text


def test_a_default_that_yaml_1_2_reads_as_text_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(
        f"workflow: {{restate: {json.dumps(RESTATE)}}}\n"
        "compute: {docker: {restart_policy: no, labels: {on: yes}}}\n"
    )

    _, output = command(tmp_path, f"--config={path}", "--engine=restate", "check")

    assert "settings: valid" in output


def test_compute_is_set_by_variables_and_flags_too(tmp_path: Path) -> None:
    settings = {"workflow": {"restate": RESTATE}, "compute": {"docker": {"stop_timeout": 5}}}
    flags = ("--set", "compute.docker.policy.pids_limit=9")

    code, text = command(
        tmp_path,
        *("--engine=restate", *flags, "config"),
        settings=settings,
        COMPUTE_DOCKER_NETWORK_NAME="mine",
    )

    assert code == 0
    assert re.search(r"^compute\.docker\.stop_timeout = 5  # .*config\.json$", text, re.MULTILINE)
    assert "compute.docker.network_name = 'mine'  # $COMPUTE_DOCKER_NETWORK_NAME" in text
    assert "compute.docker.policy.pids_limit = 9  # flag" in text
    assert "compute.docker.request_timeout = 1m  # default" in text


def test_every_value_is_shown_with_its_origin_and_secrets_are_not(tmp_path: Path) -> None:
    restate = {**RESTATE, "auth_type": "api_key", "api_key": "sesame"}
    settings = {"workflow": {"restate": restate}, "compute": {"mock": {"token": "sesame"}}}

    code, text = command(
        tmp_path,
        *("--engine", "restate", "--log-format", "json", "config"),
        settings=settings,
        WORKER_DRAIN_TIMEOUT="9s",
    )

    assert code == 0
    assert "worker.drain_timeout = 9s  # $WORKER_DRAIN_TIMEOUT" in text
    assert "log.format = 'json'  # flag" in text
    assert "worker.step_timeout = 5m  # default" in text
    assert "compute.mock.token = '***'" in text
    assert "sesame" not in text


def test_ignored_settings_are_logged_at_the_start(tmp_path: Path) -> None:
    settings = {"log": {"development": False}}

    code, text = command(tmp_path, "--engine=stepfunctions", settings=settings)

    assert code == 5
    assert "is not read" in text
    assert "log.development" in text


def test_check_reports_ignored_and_missing_settings(tmp_path: Path) -> None:
    settings = {"workflow": {"restate": {**RESTATE, "auth_token": "a-secret"}}}

    address = {"LANDLORD_RESTATE_WORKER_ADDRESS": "127.0.0.1:19099"}
    code, text = command(tmp_path, "--engine=restate", "check", settings=settings, **address)

    assert code == 4
    assert "settings: valid" in text
    assert "Landlord: not configured" in text
    assert (
        "a configuration that changes while a job runs, or whose job is lost, stays unnoticed"
        in text
    )
    assert "workflow.restate.auth_token" in text
    assert "a-secret" not in text


def test_check_reaches_landlord_and_names_the_engine_that_refuses(
    tmp_path: Path, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/v1/tenants").respond_with_json({"tenants": [], "total": 0})
    settings = {
        "workflow": {"stepfunctions": {}},
        "worker": {"landlord_api_url": httpserver.url_for("/")},
    }

    code, text = command(tmp_path, "--engine", "stepfunctions", "check", settings=settings)

    assert code == 5
    assert "/v1 answers" in text
    assert "LE302" in text


def test_check_ends_with_3_where_landlord_does_not_answer(tmp_path: Path) -> None:
    settings = {"worker": {"landlord_api_url": "http://127.0.0.1:9"}}

    code, text = command(tmp_path, "--engine", "stepfunctions", "check", settings=settings)

    assert code == 3
    assert "LE601" in text


def test_registering_with_an_engine_that_refuses_ends_with_5(tmp_path: Path) -> None:
    assert command(tmp_path, "--engine", "stepfunctions", "register")[0] == 5


def test_moving_with_an_engine_that_cannot_ends_with_5(tmp_path: Path) -> None:
    code, text = command(tmp_path, "--engine", "stepfunctions", "move", "--from", "http://old")

    assert code == 5
    assert "LE303" in text
    assert "'stepfunctions' does not support 'move'" in text


def test_on_a_terminal_the_awaited_event_is_shown_while_the_command_waits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    with local_stack._show_progress("a page"):
        before = capsys.readouterr().out

    assert before == "  ... a page\r"
    assert capsys.readouterr().out.endswith(" s  a page\n")


def test_help_shows_its_examples_one_to_a_line(tmp_path: Path) -> None:
    code, text = command(tmp_path, "-h")

    assert code == 0
    assert "\\b" not in text
    assert "  landlord-host --engine restate check    validate settings and connectivity\n" in text
    assert "--engine NAME" in command(tmp_path, "--help")[1]
    assert command(tmp_path, "check", "-h")[0] == 0


def test_shell_completion_offers_engines_levels_and_formats(tmp_path: Path) -> None:
    def completions(words: str, at: int) -> str:
        return command(
            tmp_path,
            _LANDLORD_HOST_COMPLETE="bash_complete",
            COMP_WORDS=words,
            COMP_CWORD=str(at),
        )[1]

    # The completion reads COMP_WORDS alone, and not the --config that `command` passes.
    assert "plain,restate" in completions("landlord-host --engine re", 2)
    assert "plain,warn" in completions("landlord-host --log-level w", 2)
    assert "plain,json" in completions("landlord-host --log-format j", 2)


def test_failures_of_the_target_and_of_the_engine_are_both_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = {"compute": {"process": {"folder": str(tmp_path / "file")}, "mock": {}}}

    code, text = command(tmp_path, "--engine", "stepfunctions", "check", settings=settings)

    assert code == 3
    assert "settings: valid" in text
    assert "compute.process: not reached" in text
    assert "compute.mock: nothing to reach" in text
    assert "is not a folder" in text
    assert "LE302" in text


@pytest.mark.parametrize("name", ["check", "config"])
def test_check_and_config_do_not_call_settings_with_an_error_valid(
    tmp_path: Path, name: str
) -> None:
    settings = {"workflow": {"restate": {**RESTATE, "auth_type": "bogus"}}}

    code, text = command(tmp_path, "--engine", "restate", name, settings=settings)

    assert code == 2
    assert "workflow.restate.auth_type is not one of" in text
    assert "settings: valid" not in text
    assert ("auth_type = 'bogus'" in text) is (name == "config")


def test_check_does_not_call_settings_valid_that_a_compute_engine_refuses(
    tmp_path: Path,
) -> None:
    settings = {"compute": {"ecs": {"endpoint_ulr": "http://h"}}}

    code, text = command(tmp_path, "--engine", "stepfunctions", "check", settings=settings)

    assert code == 2
    assert "compute.ecs.endpoint_ulr is unknown; did you mean compute.ecs.endpoint_url?" in text
    assert "settings: valid" not in text


def test_a_certificate_file_that_is_missing_ends_with_2(tmp_path: Path) -> None:
    code, text = command(
        tmp_path, "--engine", "stepfunctions", "check", SSL_CERT_FILE="/nowhere.pem"
    )

    assert code == 2
    assert "$SSL_CERT_FILE names /nowhere.pem" in text


def test_an_unreadable_distribution_is_named_and_fails_no_command(
    tmp_path: Path,
) -> None:
    info = tmp_path / "bad-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[x]\nno equals sign\n")

    completed = subprocess.run(
        [HOST, "engines"],
        capture_output=True,
        text=True,
        check=True,
        env={**variables(tmp_path), "PYTHONPATH": str(tmp_path)},
    )

    assert "landlord-engines-restate 0.1.0" in completed.stdout
    assert "cannot be read, reinstall it: bad 1.0: its entry_points.txt" in completed.stderr


def test_the_level_may_be_called_warning(tmp_path: Path) -> None:
    code, text = command(
        tmp_path,
        *("--engine", "restate", "--log-level", "WARNING", "config"),
        settings={"workflow": {"restate": RESTATE}},
    )

    assert code == 0
    assert "log.level = 'warn'  # flag" in text
    assert "worker.compute_cache_ttl = 5m  # default" in text
    assert "workflow.restate.timeout = None  # default" in text


@pytest.mark.parametrize(
    ("environment", "color"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_no_color_is_heeded(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], *, color: bool
) -> None:
    arguments: list[object] = []
    monkeypatch.setattr(loading, "_environment", lambda: environment)
    monkeypatch.setattr(loading, "configure", lambda **given: arguments.append(given["color"]))

    build_logger("info", LogSettings())

    assert arguments == [color]
