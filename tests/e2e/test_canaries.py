"""Secrets are nowhere but where they have to be: planted, brought into every trouble, searched for.

The one place that holds a tenant's values in clear is Restate's own copy of the job's body, which
is there before any worker sees it; that it is found proves that the search can find.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import attrs
import psutil
import pytest
from pytest_httpserver import HTTPServer

from landlord_test_target.harness import Worker, World

JOURNAL = "SELECT * FROM sys_journal"
INPUT = "Command: Input"


@attrs.frozen
class Canaries:
    """Words that appear nowhere by chance."""

    mark: str = attrs.field(factory=lambda: f"canary{uuid4().hex}")

    def word(self, where: str) -> str:
        return f"{self.mark}-{where}"

    def in_text(self, text: str) -> bool:
        return self.mark in text or self.mark.encode().hex() in text


def env(canaries: Canaries, where: str) -> dict[str, object]:
    """A tenant's configuration with a secret in it, as each engine here takes it."""
    return {"env": {"PASSWORD": canaries.word(where), "NESTED": canaries.word(f"{where}-2")}}


def command(canaries: Canaries, where: str) -> dict[str, object]:
    return {"command": ["sleep", "600"], **env(canaries, where)}


# For each compute engine a configuration that it takes, with secrets; an engine joins by a line.
ENGINES: Mapping[str, Any] = {"mock": env, "target": env, "process": command}


@pytest.fixture
def landlord(canaries: Canaries) -> Iterator[HTTPServer]:
    """Landlord's API, which answers with a secret in the wrong place."""
    with HTTPServer() as server:
        server.expect_request("/v1/compute/config").respond_with_json({"error": "x"}, status=400)
        wrong = {"id": 5, "desired_config": canaries.word("api"), "labels": {"a": [1]}}
        server.expect_request(re.compile("/v1/tenants/.+")).respond_with_json(wrong)
        yield server


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


@attrs.frozen(kw_only=True)
class Scene:
    """A worker with secrets in its settings, and tenants with secrets in every kind of trouble."""

    world: World
    canaries: Canaries
    engine: str

    def config(self, api: str) -> dict[str, Any]:
        config = self.world.config(api=api, hold_interval="200ms", health_timeout="1s")
        secret = self.canaries.word
        config["workflow"]["restate"] |= {"auth_type": "api_key", "api_key": secret("key")}
        config["compute"]["target"]["token"] = secret("operator")
        config["compute"]["process"] = {"folder": str(self.world.folder / "process")}
        config["compute"]["mock"] = {"defaults": {"token": secret("default")}}
        return config

    def tenants_config(self, where: str) -> dict[str, Any]:
        config: dict[str, Any] = ENGINES[self.engine](self.canaries, where)
        return config

    async def life(self) -> str:
        """All that goes well; the tenant."""
        world, tenant = self.world, self.world.tenant()
        for operation, where in (("provision", "first"), ("update", "second"), ("plan", "third")):
            await world.run(tenant, operation, self.engine, **self.tenants_config(where))
        return tenant

    async def held(self) -> list[str]:
        """All that is held, with what its last failure says."""
        config = self.tenants_config("held")
        deep: Any = self.canaries.word("deep")
        for _ in range(700):
            deep = [deep]
        troubles = [
            ("target", {**config, "version": self.canaries.word("type")}, "breaks the rule"),
            ("target", {**config, "version": 13}, "must not be 13"),
            ("target", {**config, "version": 14}, "broke with RuntimeError"),
            ("nowhere", config, "not configured"),
            (self.engine, {**config, "more": self.canaries.word("x" * 300_000)}, "the limit is"),
            (self.engine, {**config, "deep": deep}, ""),
        ]
        sent = []
        for engine, trouble, said in troubles:
            job = await self.world.send(self.world.tenant(), "provision", engine, **trouble)
            if said:
                await self.world.held(job, said)
            sent.append(job)
        return sent

    async def in_trouble(self) -> list[str]:
        """A target that refuses, fails, keeps quiet and rolls back."""
        sent = []
        for call, fault in (
            ("create", {"refuse": -1}),
            ("create", {"fail": -1}),
            ("create", {"drop": -1}),
            ("inspect", {"fail": -1}),
        ):
            tenant = self.world.tenant()
            await self.world.target.fault(tenant, call, **fault)
            config = self.tenants_config(call)
            sent.append(await self.world.send(tenant, "provision", "target", **config))
            await self.world.has_status(sent[-1], "backing-off")
        tenant, config = self.world.tenant(), self.tenants_config("rolled")
        await self.world.run(tenant, "provision", "target", **config)
        later = {**config, "unhealthy": True, "version": 2}
        sent.append(await self.world.send(tenant, "update", "target", **later))
        await self.world.held(sent[-1], "rolled back")
        return sent

    async def invalid(self) -> list[str]:
        """Answers to bodies that are not understood."""
        secret = self.canaries.word("body")
        bodies = (
            f'{{"tenant_uuid": "t", "desired_config": {{"a": "{secret}" nope'.encode(),
            json.dumps({"tenant_uuid": "t", "desired_config": secret}).encode(),
            json.dumps({"tenant_uuid": "t", "metadata": {"a": {"b": secret}}}).encode(),
            json.dumps({"tenant_uuid": "t", "operation": secret}).encode(),
        )
        url = f"{self.world.restate.endpoint}/{self.world.service}/execute"
        answers = []
        for body in bodies:
            async with self.world.http.post(url, data=body) as response:
                assert response.status == 400
                answers.append(await response.text())
        return answers


async def _probed(worker: Worker, world: World) -> dict[str, str]:
    found = {}
    for path in ("/livez", "/readyz", "/metrics"):
        async with world.http.get(f"{worker.probe_url}{path}") as response:
            found[path] = await response.text()
    return found


async def _commanded(worker: Worker) -> dict[str, str]:
    """What the commands print; with --debug they keep nothing back."""
    return {
        command: (await worker.command("--debug", command))[1] for command in ("check", "config")
    }


async def _misconfigured(scene: Scene, config: dict[str, Any]) -> dict[str, str]:
    secret = scene.canaries.word("wrong")
    restate = config["workflow"]["restate"]
    wrong: dict[str, dict[str, object]] = {
        "a URL with a password": {"admin_endpoint": f"http://user:{secret}@127.0.0.1:1"},
        "a key with a line break": {"api_key": f"{secret}\nx"},
        "keys that are none": {"identity_keys": [secret]},
    }
    found = {}
    for name, keys in wrong.items():
        broken = {**config, "workflow": {"restate": {**restate, **keys}}}
        worker = Worker(config=broken, folder=scene.world.folder)
        code, found[name] = await worker.command("--debug", "check")
        assert code == 2, found[name]
    return found


async def _kept(scene: Scene) -> tuple[dict[str, str], list[str]]:
    """What Restate keeps: all but the jobs' bodies, and these by themselves."""
    query = scene.world.admin.query
    invocations = await query("SELECT * FROM sys_invocation")
    jobs = {row["id"] for row in invocations if row["target_handler_name"] == "execute"}
    journal = await query(JOURNAL)
    bodies = [row for row in journal if row["entry_type"] == INPUT and row["id"] in jobs]
    found = {
        "sys_invocation": str(invocations),
        "sys_journal": str([row for row in journal if row not in bodies]),
        "sys_journal_events": str(await query("SELECT * FROM sys_journal_events")),
        "state": str(await query("SELECT * FROM state")),
        "restate-server.log": scene.world.restate.log.read_text(),
    }
    return found, [str(row) for row in bodies]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_secret_is_nowhere_but_in_restates_copy_of_the_body(
    own_world: World, landlord: HTTPServer, canaries: Canaries, engine: str
) -> None:
    scene = Scene(world=own_world, canaries=canaries, engine=engine)
    config = scene.config(landlord.url_for(""))
    worker = await (await own_world.launch(config, "--log-level=debug")).registered()
    assert worker.process is not None

    tenant = await scene.life()
    sent = [*await scene.held(), *await scene.in_trouble()]
    nobody = await own_world.send(own_world.tenant(), "provision", **scene.tenants_config("api"))
    await own_world.held(nobody, "with something else")

    found = {f"answer {number}": text for number, text in enumerate(await scene.invalid())}
    found |= await _probed(worker, own_world)
    found |= {
        "argv": str(psutil.Process(worker.process.pid).cmdline()),
        "status": str(await own_world.status(tenant)),
        "history": str(await own_world.history(tenant)),
        "polled": str([await own_world.dispatcher.poll(job) for job in [*sent, nobody]]),
    }
    kept, bodies = await _kept(scene)
    found |= kept
    # Of some engines the tenants would outlive the test.
    deleted = await own_world.run(tenant, "delete", engine, **scene.tenants_config("last"))
    assert deleted == "deleted"
    await worker.terminate()
    found["log"] = worker.text()
    found |= await _commanded(worker)
    found |= await _misconfigured(scene, config)

    assert all(found.values()), [name for name, text in found.items() if not text]
    assert "Traceback" not in found["log"]
    assert [name for name, text in found.items() if canaries.in_text(text)] == []
    assert any(canaries.in_text(body) for body in bodies)
