"""The harness of the end-to-end tests: real processes, and waits for their effects."""

import asyncio
import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import attrs
from yarl import URL

from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.local.dispatcher import RestateDispatcher
from landlord_engines_restate.local.server import RestateServer
from landlord_test_target.target import Target
from landlord_test_target.waiting import free_port, wait_for
from landlord_test_target.worker import Worker

__all__ = ["Harness", "Target", "Worker", "free_port", "wait_for"]


@attrs.define(kw_only=True)
class Harness:
    """The workers of one service name on a restate-server. It dispatches jobs to them as Landlord does."""

    restate: RestateServer
    target: Target
    http: aiohttp.ClientSession
    folder: Path
    service: str = attrs.field(factory=lambda: f"S{uuid4().hex[:10]}")
    workers: list[Worker] = attrs.field(factory=list)
    admin: AdminClient = attrs.field(init=False)
    dispatcher: RestateDispatcher = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.admin = AdminClient(self.restate.admin_endpoint)
        self.dispatcher = RestateDispatcher(
            ingress=self.restate.endpoint, admin=self.admin, service=self.service
        )

    def config(self, *, port: int = 0, api: str | None = None, **worker: object) -> dict[str, Any]:
        restate: dict[str, Any] = {
            "endpoint": self.restate.endpoint,
            "admin_endpoint": self.restate.admin_endpoint,
            "service_name": self.service,
            "worker_address": f"127.0.0.1:{port or free_port()}",
        }
        if api is not None:
            restate["worker_landlord_api_url"] = api
        section: dict[str, object] = {"url": self.target.url}
        if "step_timeout" in worker:
            # The defaults of the other timeouts would not fit a short step_timeout.
            worker = {"health_timeout": "500ms", **worker}
            section["longest_carry"] = 1
        engines = {name: dict(section) for name in ("target", "target2")}
        engines["mock"] = {"placeholder": "1"}
        quick = {
            "registration_check_interval": "200ms",
            "drain_timeout": "10s",
            "compute_provider": "target",
            "probe_address": f"127.0.0.1:{free_port()}",
        }
        return {
            "compute": engines,
            "workflow": {"restate": restate},
            "worker": {**quick, **worker},
        }

    async def launch(
        self, config: Mapping[str, Any], *arguments: str, **environment: str
    ) -> Worker:
        """Start a worker without waiting for its registration."""
        worker = Worker(
            config=config, folder=self.folder, arguments=arguments, environment=environment
        )
        self.workers.append(worker)
        return await worker.start()

    async def worker(self, **options: Any) -> Worker:
        """Start a worker and wait until it is registered."""
        return await (await self.launch(self.config(**options))).wait_registered()

    async def restart(self, worker: Worker) -> Worker:
        """Restart a worker with the same address and settings."""
        return await (await self.launch(worker.config)).wait_registered()

    @staticmethod
    def tenant() -> str:
        return str(uuid4())

    @staticmethod
    def body(
        tenant: str, operation: str, config: Mapping[str, object], provider: str | None = None
    ) -> bytes:
        named = {} if provider is None else {"compute_provider": provider}
        document = {
            "tenant_id": f"name-{tenant}",
            "tenant_uuid": tenant,
            "operation": operation,
            "desired_config": {**config, **named},
            **named,
        }
        return json.dumps(document).encode()

    async def send(
        self, tenant: str, operation: str, provider: str | None = None, **config: object
    ) -> str:
        """Dispatch a job as Landlord does."""
        return await self.dispatcher.dispatch(self.body(tenant, operation, config, provider))

    async def wait_row(self, execution_id: str) -> Mapping[str, Any]:
        """Wait for Restate's row of an invocation: a killed server must replay its log first."""

        async def check() -> Mapping[str, Any]:
            return await self.dispatcher.read_row(execution_id) or {}

        return await wait_for(check)

    async def wait_status(self, execution_id: str, *statuses: str) -> Mapping[str, Any]:
        async def check() -> Mapping[str, Any] | None:
            row = await self.wait_row(execution_id)
            return row if row["status"] in statuses else None

        matching = await wait_for(check)
        assert matching is not None
        return matching

    async def wait_done(self, execution_id: str) -> dict[str, Any]:
        """Wait for a job's success and return its answer."""
        row = await self.wait_status(execution_id, "completed")
        assert row["completion_result"] == "success", row
        url = f"{self.restate.endpoint}/restate/invocation/{execution_id}/output"
        async with self.http.get(url) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            return answer

    async def run(
        self, tenant: str, operation: str, provider: str | None = None, **config: object
    ) -> str:
        """Dispatch a job, wait for its end, and return its outcome."""
        answer = await self.wait_done(await self.send(tenant, operation, provider, **config))
        outcome: str = answer["output"]["status"]
        return outcome

    async def wait_held(self, execution_id: str, message: str) -> Mapping[str, Any]:
        """Wait until a job backs off with this text in its last failure, as a held job does."""

        async def check() -> Mapping[str, Any] | None:
            row = await self.wait_row(execution_id)
            seen = row["status"] == "backing-off" and message in row.get("last_failure", "")
            return row if seen else None

        matching = await wait_for(check)
        assert matching is not None
        return matching

    async def wait_acquire_suspended(self) -> None:
        """Wait until an ``acquire`` has preempted the holder and waits for the holder's end."""
        sql = (
            f"SELECT id FROM sys_invocation WHERE target_service_name = '{self.service}Tenant'"
            " AND target_handler_name = 'acquire' AND status = 'suspended'"
        )

        async def check() -> bool:
            return bool(await self.admin.query(sql))

        await wait_for(check)

    async def history(self, tenant: str) -> list[dict[str, Any]]:
        history: list[dict[str, Any]] = await self._lock(tenant, "history")
        return history

    async def wait_ended(self, tenant: str, count: int) -> list[dict[str, Any]]:
        """Wait until the history has this many ended jobs, and return it."""

        async def check() -> list[dict[str, Any]]:
            history = await self.history(tenant)
            ended = sum(1 for transition in history if transition["ended_at"])
            return history if ended >= count else []

        return await wait_for(check)

    async def wait_outcomes(self, tenant: str, count: int) -> list[str]:
        return [transition["outcome"] for transition in await self.wait_ended(tenant, count)]

    async def status(self, tenant: str) -> dict[str, Any]:
        status: dict[str, Any] = await self._lock(tenant, "status")
        return status

    async def aclose(self) -> None:
        for worker in self.workers:
            if worker.process is not None and worker.process.returncode is None:
                worker.send_signal(signal.SIGTERM)
        try:
            # A drain may take its whole timeout here. test_drain_matrix measures its duration.
            await asyncio.gather(
                *(worker.wait_ended() for worker in self.workers if worker.process)
            )
        finally:
            for worker in self.workers:
                await worker.kill()
            await self.admin.aclose()

    async def _lock(self, tenant: str, handler: str) -> Any:
        # A tenant may have the name "..", which HTTP clients would resolve as a path.
        key = quote(tenant, safe="").replace(".", "%2E")
        url = URL(f"{self.restate.endpoint}/{self.service}Tenant/{key}/{handler}", encoded=True)
        async with self.http.get(url) as response:
            return await response.json(content_type=None)
