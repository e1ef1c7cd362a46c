"""Puts secrets into settings and tenants, provokes every kind of failure, and searches all output for them.

Only Restate's copy of a job's body has a tenant's values in plain text. Restate stores the body before
a worker gets the job. The search must find the secret there, which proves that the search works.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import attrs
import psutil
from pytest_httpserver import HTTPServer

from landlord_test_target.harness import Harness, Worker

JOURNAL = "SELECT * FROM sys_journal"
INPUT = "Command: Input"

ALL_COMMANDS = (
    "check",
    "config",
    "tenants",
    "tenants --json",
    "status TENANT --json",
    "history TENANT --json",
    "plan TENANT",
    "retry TENANT",
)
QUICK_COMMANDS = ("check", "tenants --json", "plan TENANT")
"""Commands for each run of the tests, since each one starts an interpreter."""


@attrs.frozen
class Canaries:
    """Secrets with a common prefix that appears nowhere by chance."""

    mark: str = attrs.field(factory=lambda: f"canary{uuid4().hex}")

    def secret(self, place: str) -> str:
        return f"{self.mark}-{place}"

    def is_in(self, text: str) -> bool:
        return self.mark in text or self.mark.encode().hex() in text


def secret_env(canaries: Canaries, place: str) -> dict[str, object]:
    """Build a part of a tenant's configuration with a secret, in the form of most engines."""
    return {
        "secret_env": {"PASSWORD": canaries.secret(place), "NESTED": canaries.secret(f"{place}-2")}
    }


@contextmanager
def run_malformed_landlord(canaries: Canaries) -> Iterator[str]:
    """Run a Landlord API whose answers have a secret in the wrong place, and yield its URL."""
    with HTTPServer() as server:
        server.expect_request("/v1/compute/config").respond_with_json({"error": "x"}, status=400)
        wrong = {"id": 5, "desired_config": canaries.secret("api"), "labels": {"a": [1]}}
        server.expect_request(re.compile("/v1/tenants/.+")).respond_with_json(wrong)
        yield server.url_for("")


@attrs.frozen(kw_only=True)
class SecretsCheck:
    """A worker with secrets in its settings, and tenants with secrets in every kind of failure.

    Attributes:
        engine: The compute engine of the tenants without failures.
        build_config: Builds a valid configuration for it, with secrets.
        section: Its section in the worker's settings, if it needs one.
        commands: The commands of which the output is searched; TENANT stands for a tenant.
        tenants: The tenants to delete at the end, because resources of some engines would outlive the test.
    """

    harness: Harness
    canaries: Canaries
    engine: str
    build_config: Callable[[Canaries, str], dict[str, object]] = secret_env
    section: Mapping[str, object] = attrs.field(factory=dict)
    tenants: list[str] = attrs.field(factory=list)
    commands: Sequence[str] = ALL_COMMANDS

    def config(self, api: str) -> dict[str, Any]:
        quick: dict[str, Any] = {
            "hold_retry_interval": "200ms",
            "health_timeout": "5s",
            "resync_after": "100ms",
        }
        config = self.harness.config(api=api, **quick)
        secret = self.canaries.secret
        config["workflow"]["restate"] |= {"auth_type": "api_key", "api_key": secret("key")}
        config["compute"]["target"]["token"] = secret("operator")
        config["compute"]["mock"] = {"defaults": {"token": secret("default")}}
        if self.section:
            config["compute"][self.engine] = dict(self.section)
        return config

    def tenants_config(self, place: str) -> dict[str, Any]:
        return self.build_config(self.canaries, place)

    async def run_successful_jobs(self) -> str:
        """Run jobs that succeed, and return their tenant."""
        harness, tenant = self.harness, self.harness.tenant()
        self.tenants.append(tenant)
        for operation, place in (("provision", "first"), ("update", "second"), ("plan", "third")):
            await harness.run(tenant, operation, self.engine, **self.tenants_config(place))
        return tenant

    async def run_held_jobs(self) -> list[str]:
        """Run jobs that are held, and return them with their last failure."""
        config = self.tenants_config("held")
        deep: Any = self.canaries.secret("deep")
        for _ in range(700):
            deep = [deep]
        failures = [
            ("target", {**config, "version": self.canaries.secret("type")}, "breaks the rule"),
            ("target", {**config, "version": 13}, "must not be 13"),
            ("target", {**config, "version": 14}, "raised RuntimeError"),
            ("nowhere", config, "not configured"),
            (self.engine, {**config, "more": self.canaries.secret("x" * 300_000)}, "the limit is"),
            (self.engine, {**config, "deep": deep}, ""),
        ]
        sent = []
        for engine, config, failure in failures:
            tenant = self.harness.tenant()
            if engine == self.engine:
                self.tenants.append(tenant)
            job = await self.harness.send(tenant, "provision", engine, **config)
            if failure:
                await self.harness.wait_held(job, failure)
            sent.append(job)
        text = self.canaries.secret("text")
        unreadable = {"tenant_uuid": self.harness.tenant(), "desired_config": text}
        job = await self.harness.dispatcher.dispatch(json.dumps(unreadable).encode())
        await self.harness.wait_held(job, "$.desired_config")
        sent.append(job)
        return sent

    async def run_failing_jobs(self) -> list[str]:
        """Run jobs on a target that refuses, fails, does not answer and rolls back."""
        sent = []
        for call, fault in (
            ("create", {"refuse": -1}),
            ("create", {"fail": -1}),
            ("create", {"drop": -1}),
            ("inspect", {"fail": -1}),
        ):
            tenant = self.harness.tenant()
            await self.harness.target.set_fault(tenant, call, **fault)
            config = self.tenants_config(call)
            sent.append(await self.harness.send(tenant, "provision", "target", **config))
            await self.harness.wait_status(sent[-1], "backing-off")
        tenant, config = self.harness.tenant(), self.tenants_config("rolled")
        await self.harness.run(tenant, "provision", "target", **config)
        later = {**config, "unhealthy": True, "version": 2}
        sent.append(await self.harness.send(tenant, "update", "target", **later))
        await self.harness.wait_held(sent[-1], "rolled back")
        return sent

    async def send_invalid_bodies(self) -> list[str]:
        """Return the answers to invalid bodies."""
        secret = self.canaries.secret("body")
        bodies = (
            f'{{"tenant_uuid": "t", "desired_config": {{"a": "{secret}" nope'.encode(),
            json.dumps({"tenant_uuid": {"a": secret}}).encode(),
            json.dumps({"tenant_uuid": "t", "operation": {"a": secret}}).encode(),
            json.dumps({"tenant_uuid": "t", "operation": secret}).encode(),
        )
        url = f"{self.harness.restate.endpoint}/{self.harness.service}/execute"
        answers = []
        for body in bodies:
            async with self.harness.http.post(url, data=body) as response:
                assert response.status == 400
                answers.append(await response.text())
        return answers


async def _read_probes(worker: Worker, harness: Harness) -> dict[str, str]:
    outputs = {}
    for path in ("/livez", "/readyz", "/metrics"):
        async with harness.http.get(f"{worker.probe_url}{path}") as response:
            outputs[path] = await response.text()
    return outputs


async def _run_commands(worker: Worker, commands: Sequence[str], tenant: str) -> dict[str, str]:
    """Run the commands and return their output; --debug makes them print all they have."""
    outputs = {}
    for command in commands:
        words = command.replace("TENANT", tenant).split()
        _, outputs[f"command {command}"] = await worker.command("--debug", *words)
    return outputs


async def _run_misconfigured(check: SecretsCheck, config: dict[str, Any]) -> dict[str, str]:
    secret = check.canaries.secret("wrong")
    wrong: dict[str, tuple[str, dict[str, object]]] = {
        "a URL with a password": ("restate", {"admin_endpoint": f"http://u:{secret}@127.0.0.1:1"}),
        "a key with a line break": ("restate", {"api_key": f"{secret}\nx"}),
        "invalid identity keys": ("restate", {"identity_keys": [secret]}),
        "a bad value of a compute engine's": ("process", {"folder": "/", "ports": secret}),
        "a compute engine's own text": ("process", {"folder": secret}),
    }
    outputs = {}
    for name, (section, keys) in wrong.items():
        part = "workflow" if section == "restate" else "compute"
        bad = {**config[part], section: {**config[part].get(section, {}), **keys}}
        broken = {**config, part: bad}
        worker = Worker(config=broken, folder=check.harness.folder)
        # The worker must refuse the section before it checks anything else, and before it serves.
        command = ("check",) if part == "workflow" else ()
        code, outputs[name] = await worker.command("--debug", *command)
        assert code == 2, outputs[name]
    return outputs


async def _read_restate(check: SecretsCheck) -> tuple[dict[str, str], list[str]]:
    """Read all that Restate stores: first everything but the jobs' bodies, then the bodies."""
    query = check.harness.admin.query
    invocations = await query("SELECT * FROM sys_invocation")
    jobs = {row["id"] for row in invocations if row["target_handler_name"] == "execute"}
    journal = await query(JOURNAL)
    bodies = [row for row in journal if row["entry_type"] == INPUT and row["id"] in jobs]
    outputs = {
        "sys_invocation": str(invocations),
        "sys_journal": str([row for row in journal if row not in bodies]),
        "sys_journal_events": str(await query("SELECT * FROM sys_journal_events")),
        "state": str(await query("SELECT * FROM state")),
        "restate-server.log": check.harness.restate.log.read_text(),
    }
    return outputs, [str(row) for row in bodies]


async def collect_outputs(check: SecretsCheck, api: str) -> tuple[dict[str, str], list[str]]:
    """Run all jobs; return all outputs by their origin, and Restate's copies of the bodies."""
    config = check.config(api)
    # A worker with a variable is a new process and no fork, so its command line shows its arguments.
    worker = await check.harness.launch(config, "--log-level=debug", TZ="UTC")
    await worker.wait_registered()
    assert worker.process is not None

    tenant = await check.run_successful_jobs()
    sent = [*await check.run_held_jobs(), *await check.run_failing_jobs()]
    malformed = await check.harness.send(
        check.harness.tenant(), "provision", **check.tenants_config("api")
    )
    await check.harness.wait_held(malformed, "has a wrong form")

    outputs = {
        f"answer {number}": text for number, text in enumerate(await check.send_invalid_bodies())
    }
    outputs |= await _read_probes(worker, check.harness)
    outputs |= {
        "argv": str(psutil.Process(worker.process.pid).cmdline()),
        "status": str(await check.harness.status(tenant)),
        "history": str(await check.harness.history(tenant)),
        "polled": str([await check.harness.dispatcher.read_row(job) for job in [*sent, malformed]]),
    }
    stored, bodies = await _read_restate(check)
    outputs |= stored
    for served in check.tenants:
        await check.harness.run(served, "delete", check.engine, **check.tenants_config("last"))
    await worker.terminate()
    outputs["log"] = worker.log_text()
    outputs |= await _run_commands(worker, check.commands, tenant)
    outputs |= await _run_misconfigured(check, config)
    return outputs, bodies


def check_no_secret(canaries: Canaries, outputs: Mapping[str, str], bodies: list[str]) -> None:
    """Check that no output has a secret, and that the search would have found one."""
    assert all(outputs.values()), [name for name, text in outputs.items() if not text]
    assert "Traceback" not in outputs["log"]
    assert [name for name, text in outputs.items() if canaries.is_in(text)] == []
    assert any(canaries.is_in(body) for body in bodies)
