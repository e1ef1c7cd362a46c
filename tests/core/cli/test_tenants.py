"""The commands about tenants, on the engine of examples/sqlite_engine."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import jsonschema
import pytest
from pytest_httpserver import HTTPServer

from landlord_engine_sqlite.store import Lock, Store
from landlord_engines_core.cli import tenant_output as output
from landlord_engines_core.engine import JobState, OpenJob, TenantStatus
from landlord_engines_core.errors import Held, JobError, Transient
from landlord_engines_core.models import JobStart, Placement, Record, Transition
from landlord_engines_core.tenants.planning import TenantPlan
from landlord_test_target.forks import fork_host
from landlord_test_target.tenant_api import Landlord

HOST = Path(sys.executable).with_name("landlord-host")
SCHEMA = Path(__file__).parents[3] / "docs" / "operating" / "tenants.schema.json"

HERE = Placement("mock", "host-1", {"id": "7"})
CREATED = Transition(
    execution_id="1",
    operation="provision",
    started_at="2026-01-01T00:00:00+00:00",
    ended_at="2026-01-01T00:00:01.5+00:00",
    outcome="created",
    placement=HERE,
)
UPDATE = Transition(execution_id="2", operation="update", started_at="2026-01-02T00:00:00Z")
HELD = OpenJob(
    execution_id="2",
    state=JobState.HELD,
    since="2026-01-02T00:00:00Z",
    attempts=3,
    code="LE402",
    reason="the target refuses this",
    next_try_at="2026-01-02T00:00:30Z",
)
IDLE = TenantStatus(
    tenant="t", record=Record(name="acme", placements=(HERE,), transitions=(CREATED,))
)
WAITS = attrs.evolve(
    IDLE,
    record=attrs.evolve(IDLE.record, transitions=(CREATED, UPDATE)),
    jobs=(HELD,),
)


def check_schema(kind: str, document: object) -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.validate(document, {**schema, "anyOf": [{"$ref": f"#/$defs/{kind}"}]})


def test_problems_come_first_in_a_tenants_status() -> None:
    problem, *others = output.render_status(WAITS)

    assert problem == (
        "held since 2026-01-02T00:00:00Z, job 2, attempt 3, next attempt at 2026-01-02T00:00:30Z:"
        " LE402: the target refuses this"
    )
    assert others == [
        "tenant     t",
        "name       acme",
        "placement  mock host-1 (id=7)",
        "last job   2026-01-01T00:00:00Z  provision  created      mock host-1 (id=7)",
    ]


def test_the_status_of_an_idle_tenant_begins_with_its_last_outcome() -> None:
    refused = attrs.evolve(CREATED, outcome="refused", detail="too large")
    record = attrs.evolve(IDLE.record, transitions=(refused,), placements=(), name="")

    first, *_, last = output.render_status(TenantStatus(tenant="t", record=record))

    assert first == "idle since 2026-01-01T00:00:01Z, refused: too large"
    assert last.endswith("too large")
    assert next(output.render_status(IDLE)) == "idle since 2026-01-01T00:00:01Z, created"


def test_a_job_without_an_attempt_is_rendered_without_one() -> None:
    job = OpenJob(execution_id="9", state=JobState.RUNNING)

    assert list(output.render_status(TenantStatus(tenant="t", jobs=(job,)))) == [
        "running since -, job 9",
        "tenant     t",
        "name       -",
    ]


def test_the_history_shows_open_and_killed_jobs() -> None:
    killed = attrs.evolve(UPDATE, execution_id="0")
    status = attrs.evolve(WAITS, record=attrs.evolve(WAITS.record, transitions=(killed, UPDATE)))

    lines = list(output.render_history(status))

    assert [line.split()[1:] for line in lines] == [["update", "killed"], ["update", "open"]]
    check_schema("history", output.describe_history(WAITS))


@pytest.mark.parametrize(
    ("plan", "lines"),
    [
        (
            TenantPlan(action="nothing"),
            ["Landlord does not know this tenant, so nothing would change"],
        ),
        (
            TenantPlan(action="nothing", status="ready", placement=HERE),
            ["nothing would change, Landlord shows the tenant as ready"],
        ),
        (
            TenantPlan(action="update", status="ready", placement=HERE, changes=("a changed",)),
            ["update on mock host-1 (id=7): a changed"],
        ),
        (
            TenantPlan(
                action="provision", status="ready", placement=HERE, removed=(Placement("ecs"),)
            ),
            ["provision on mock host-1 (id=7)", "delete on ecs"],
        ),
        (
            TenantPlan(action="delete", status="archiving", removed=(HERE,)),
            ["delete on mock host-1 (id=7)"],
        ),
    ],
)
def test_a_plan_names_each_change(plan: TenantPlan, lines: list[str]) -> None:
    assert list(output.render_plan(plan)) == lines
    check_schema("plan", output.describe_plan("t", plan))


def test_a_name_cannot_change_lines_or_the_terminal() -> None:
    record = attrs.evolve(IDLE.record, name="a\n\x1b[2Jb")

    row = output.render_row(TenantStatus(tenant="o'brien\r", record=record))

    assert row.startswith("o'brien\\r ")
    assert "a\\n\\x1b[2Jb" in row
    assert row.isprintable()


@attrs.frozen
class Scene:
    """A file of jobs, and the commands about it."""

    folder: Path
    store: Store
    landlord: Landlord

    def run(self, *arguments: str, engine: str = "sqlite") -> tuple[int, str]:
        output_file = self.folder / uuid4().hex
        settings = {
            "workflow.sqlite.path": str(self.folder / "jobs.db"),
            "worker.landlord_api_url": self.landlord.url,
            "worker.probe_address": "127.0.0.1:0",
        }
        flags = [f"--set={path}={value}" for path, value in settings.items() if engine == "sqlite"]
        command = (str(HOST), "--engine", engine, *flags, *arguments)
        coverage = {key: value for key, value in os.environ.items() if key.startswith("COVERAGE")}
        environment = {"HOME": str(self.folder), "COMPUTE": '{"mock": {}}', **coverage}
        code = fork_host(command, output_file, environment).join()
        return code, output_file.read_text()

    def read(self, *arguments: str) -> tuple[int, Any]:
        code, text = self.run(*arguments, "--json")
        document = json.loads(text)
        check_schema(arguments[0], document)
        return code, document

    def hold(self, tenant: str) -> None:
        """Have a job of a tenant held, before it has the lock."""
        self.fail(tenant, Held("the target refuses this", retry_after=600))

    def fail(self, tenant: str, error: JobError) -> None:
        """Have a job of a tenant wait after an error, before it has the lock."""
        self.store.send(b"{}")
        job = self.store.claim("owner", 60)
        assert job is not None
        error.tenant = tenant
        self.store.release(job, "open", str(error), 600)

    def complete(self, tenant: str) -> None:
        """Record a finished job of a tenant."""
        start = JobStart(operation="provision", started_at="t", placement=HERE, name="acme")
        record = Record().with_start("1", start).with_end(CREATED)
        self.store.write_lock(tenant, Lock(job=100, record=record))


@pytest.fixture
def scene(tmp_path: Path, httpserver: HTTPServer) -> Iterator[Scene]:
    with closing(Store(tmp_path / "jobs.db")) as store:
        yield Scene(tmp_path, store, Landlord(httpserver))


def test_the_list_ends_with_a_summary_and_the_code_says_whether_all_is_as_desired(
    scene: Scene,
) -> None:
    assert scene.run("tenants") == (0, f"{output.render_header()}\n0 tenants, 0 not as desired\n")
    scene.complete("b")
    scene.hold("a")

    code, text = scene.run("tenants")

    assert code == 3
    _, first, second, last = text.splitlines()
    assert (first.split()[0], second.split()[0]) == ("a", "b")
    assert last == "2 tenants, 1 not as desired: 1 held, 1 idle"
    code, document = scene.read("tenants", "--held")
    assert (code, [each["tenant"] for each in document["tenants"]]) == (3, ["a"])
    code, document = scene.read("tenants", "--engine", "mock")
    assert (code, [each["tenant"] for each in document["tenants"]]) == (0, ["b"])


def test_a_tenant_is_listed_as_held_if_any_of_its_jobs_is(scene: Scene) -> None:
    scene.fail("a", Transient("the target is in trouble"))
    scene.store.write_lock("a", Lock(job=1))
    scene.hold("a")
    scene.fail("b", Transient("the target is in trouble"))

    code, document = scene.read("tenants", "--held")

    (listed,) = document["tenants"]
    assert (code, listed["tenant"], listed["state"]) == (3, "a", "retrying")
    assert [job["state"] for job in listed["jobs"]] == ["retrying", "held"]


def test_one_tenant_is_shown_retried_and_planned(scene: Scene) -> None:
    scene.hold("a")
    scene.complete("b")

    code, status = scene.read("status", "a")
    assert (code, status["jobs"][0]["reason"]) == (3, "the target refuses this")
    code, text = scene.run("retry", "a")
    assert code == 0
    assert text.startswith("tried now: held since -, job 1, attempt 1: LE402: the target")
    assert scene.store.claim("owner", 60) is not None, "the job is due"
    scene.complete("a")
    scene.store.stop(1, "done")
    assert scene.run("retry", "a") == (0, "no job of this tenant waits for an attempt\n")
    code, text = scene.run("status", "b")
    assert (code, text.splitlines()[0]) == (0, "idle since 2026-01-01T00:00:01Z, created")
    code, text = scene.run("history", "b")
    assert (code, text.count("\n")) == (0, 1)
    scene.landlord.set_tenant("b", "ready", "mock", size=1)
    assert scene.run("plan", "b") == (3, "provision on mock\n")


def test_an_unknown_tenant_and_an_engine_without_records_are_errors(scene: Scene) -> None:
    code, text = scene.run("status", "nobody")
    assert code == 3
    assert "LE305: the backend has no record and no open job of the tenant 'nobody'" in text

    for command in (("tenants",), ("plan", "t")):
        code, text = scene.run(*command, engine="stepfunctions")
        assert code == 5
        assert "worker engine 'stepfunctions' does not support 'records'" in text
        assert "engines --wide" in text
