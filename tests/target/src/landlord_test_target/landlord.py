"""A client of Landlord's API, and a backend whose answers a test sets."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import attrs

from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.models import PolledExecution, PolledState
from landlord_test_target.waiting import wait_for

RUNNING = PolledExecution(state=PolledState.RUNNING)
BACKING_OFF = PolledExecution(state=PolledState.BACKING_OFF, retry_count=4)
SUCCEEDED = PolledExecution(state=PolledState.SUCCEEDED)
FAILED = PolledExecution(state=PolledState.FAILED)


@attrs.define
class ScriptedDispatcher:
    """A backend that accepts jobs and answers as the test sets.

    Attributes:
        answers: The answer for an execution, by its id; all others get ``default_answer``.
        after_kill: The answer for a killed execution.
        polls: The number of polls of each execution.
        may_accept: Unset while dispatches have to wait.
        refusals: The number of dispatches to refuse before one is accepted.
        error: The error that each call raises, if any.
    """

    default_answer: PolledExecution | None = attrs.field(default=RUNNING)
    answers: dict[str, PolledExecution | None] = attrs.field(factory=dict)
    bodies: list[bytes] = attrs.field(factory=list)
    killed: list[str] = attrs.field(factory=list)
    after_kill: PolledExecution = attrs.field(default=SUCCEEDED)
    polls: Counter[str] = attrs.field(factory=Counter)
    may_accept: asyncio.Event = attrs.field(factory=asyncio.Event)
    refusals: int = 0
    error: Exception | None = None

    def __attrs_post_init__(self) -> None:
        self.may_accept.set()

    async def dispatch(self, body: bytes) -> str:
        self.bodies.append(body)
        execution_id = f"inv_{len(self.bodies)}"
        await self.may_accept.wait()
        self._raise_error()
        if self.refusals > 0:
            self.refusals -= 1
            raise EngineFailed("it is not registered yet")
        return execution_id

    async def poll(self, execution_id: str) -> PolledExecution | None:
        self.polls[execution_id] += 1
        self._raise_error()
        return self.answers.get(execution_id, self.default_answer)

    async def kill(self, execution_id: str) -> None:
        self.killed.append(execution_id)
        self._raise_error()
        self.answers[execution_id] = self.after_kill

    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]

    def operations(self) -> list[str]:
        return [body["operation"] for body in self.sent()]

    async def wait_dispatched(self, number: int) -> None:
        async def check() -> bool:
            return len(self.bodies) >= number

        await wait_for(check)

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error


@attrs.frozen(kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.body["error"]


@attrs.frozen(kw_only=True)
class ApiUser:
    """A user of Landlord's API."""

    url: str
    http: aiohttp.ClientSession

    async def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.request(
            method, f"{self.url}{path}", data=data, headers=headers
        ) as response:
            return Answer(
                status=response.status, headers=response.headers, raw=await response.read()
            )

    async def create(self, name: str, /, **config: object) -> str:
        """Create a tenant and return its id."""
        body = {"name": name, "compute_config": config}
        answer = await self.call("POST", "/v1/tenants", body)
        assert answer.status == 201, answer.raw
        tenant: str = answer.body["id"]
        return tenant

    async def update(self, tenant: str, /, **config: object) -> Answer:
        return await self.call("PUT", f"/v1/tenants/{tenant}", {"compute_config": config})

    async def archive(self, tenant: str) -> Answer:
        return await self.call("POST", f"/v1/tenants/{tenant}/archive")

    async def delete(self, tenant: str) -> Answer:
        return await self.call("DELETE", f"/v1/tenants/{tenant}")

    async def get(self, tenant: str) -> Answer:
        return await self.call("GET", f"/v1/tenants/{quote(tenant, safe='')}")

    async def wait_fields(self, tenant: str, **fields: object) -> dict[str, Any]:
        """Wait until the tenant shows these fields, and return it."""

        async def check() -> dict[str, Any] | None:
            body: dict[str, Any] = (await self.get(tenant)).body
            return body if fields.items() <= body.items() else None

        try:
            document = await wait_for(check)
        except AssertionError as error:
            body = (await self.get(tenant)).body
            raise AssertionError(f"not {fields}: {body}") from error
        assert document is not None
        return document

    async def wait_removed(self, tenant: str) -> None:
        async def check() -> bool:
            return (await self.get(tenant)).status == 404

        await wait_for(check)
