"""Users of Landlord, who create, change and archive tenants at random."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from random import Random
from time import time
from typing import Any

import attrs

from landlord_test_target.landlord import ApiUser

__all__ = ["Load", "Operation"]

POLL_INTERVAL = 0.2
"""Seconds between two reads of a tenant."""

ACCEPTED = (HTTPStatus.OK, HTTPStatus.ACCEPTED)
END_STATES = ("ready", "archived", "failed", "gone")

ACTIONS: Mapping[str, float] = {
    "update": 50,
    "move": 10,
    "same again": 8,
    "mistake": 5,
    "archive": 12,
    "delete": 15,
}
IMPATIENT_SHARE = 0.2
"""The share of actions after which a user does not wait for the end."""


@attrs.define(kw_only=True)
class Operation:
    """One request of a user; times are seconds since the epoch, 0 for not yet.

    Attributes:
        sent: Whether Landlord showed a job for the operation.
        status: The tenant's status at the last read.
    """

    tenant: str
    kind: str
    config: Mapping[str, object]
    begun: float = attrs.field(factory=time)
    ended: float = 0.0
    sent: bool = False
    status: str = ""


@attrs.define(kw_only=True)
class Load:
    """Users who work at the same time, until there were enough operations.

    Attributes:
        engines: The compute engines of their tenants.
        patience: Seconds after which a user calls an operation stuck.
        operations: All operations, oldest first.
        tenants: The names of all tenants so far, by id.
        refused: The requests that Landlord refused, by action and answer.
    """

    landlord: ApiUser
    seed: int
    users: int
    engines: Sequence[str] = ("target", "target2")
    patience: float = 150.0
    enough: asyncio.Event = attrs.field(factory=asyncio.Event)
    operations: list[Operation] = attrs.field(factory=list)
    tenants: dict[str, str] = attrs.field(factory=dict)
    refused: Counter[str] = attrs.field(factory=Counter)
    _group: asyncio.TaskGroup = attrs.field(factory=asyncio.TaskGroup, init=False)

    async def run(self) -> None:
        """Run all users until `enough` is set; each user waits for the end of the last operation."""
        async with self._group:
            for number in range(self.users):
                self._group.create_task(self._run_user(number))

    @property
    def running(self) -> list[Operation]:
        """List the operations whose job has started and has not ended."""
        return [
            operation for operation in self.operations if operation.sent and not operation.ended
        ]

    async def _run_user(self, number: int) -> None:
        random = Random(f"{self.seed}-{number}")
        count = 0
        while not self.enough.is_set():
            count += 1
            await self._run_tenant(random, f"user-{number}-tenant-{count}")

    async def _run_tenant(self, random: Random, name: str) -> None:
        config = self._config(random)
        tenant = await self.landlord.create(name, **config)
        self.tenants[tenant] = name
        status = await self._wait_seen(self._record(tenant, "create", config), random)
        while status != "gone" and not self.enough.is_set():
            action = _choose_action(random, status)
            operation = await self._request(action, tenant, config, random)
            if operation is None:
                return
            config, status = operation.config, await self._wait_seen(operation, random)

    def _config(self, random: Random) -> Mapping[str, object]:
        return {
            "compute_provider": random.choice(self.engines),
            "location": random.choice(("main", "east")),
            "version": random.randrange(100, 1_000_000),
        }

    def _desired_config(
        self, action: str, config: Mapping[str, object], random: Random
    ) -> Mapping[str, object]:
        if action == "update":
            return {**config, "version": random.randrange(100, 1_000_000)}
        if action == "move":
            return self._config(random)
        if action == "mistake":
            return {**config, "version": random.randrange(100, 1_000_000), "unhealthy": True}
        return config

    def _record(self, tenant: str, kind: str, config: Mapping[str, object]) -> Operation:
        operation = Operation(tenant=tenant, kind=kind, config=config)
        self.operations.append(operation)
        return operation

    async def _request(
        self, action: str, tenant: str, config: Mapping[str, object], random: Random
    ) -> Operation | None:
        """Send a request to Landlord; return ``None`` if Landlord refuses, or the tenant is unknown."""
        desired = self._desired_config(action, config, random)
        operation = self._record(tenant, action, desired)
        if action in ("archive", "delete"):
            call = self.landlord.archive if action == "archive" else self.landlord.delete
            answer = await call(tenant)
        else:
            answer = await self.landlord.update(tenant, **desired)
        if answer.status in ACCEPTED:
            if action == "mistake":
                return await self._correct(operation, config)
            return operation
        self.operations.remove(operation)
        self.refused[f"{action}: {answer.status}"] += 1
        return operation if answer.status == HTTPStatus.CONFLICT else None

    async def _correct(self, mistake: Operation, config: Mapping[str, object]) -> Operation:
        """Wait until a mistake fails, and restore the configuration before it."""
        await self._wait_state(mistake, "backing-off", *END_STATES)
        operation = self._record(mistake.tenant, "correct", config)
        answer = await self.landlord.update(mistake.tenant, **config)
        if answer.status not in ACCEPTED:
            self.refused[f"correct: {answer.status}"] += 1
        return operation

    async def _wait_seen(self, operation: Operation, random: Random) -> str:
        """Wait for the operation's end, or only for a moment, and return the tenant's status."""
        watch = self._group.create_task(self._wait_state(operation, *END_STATES))
        is_impatient = operation.kind != "correct" and random.random() < IMPATIENT_SHARE
        await asyncio.wait((watch,), timeout=random.uniform(0, 1) if is_impatient else None)
        return operation.status

    async def _wait_state(self, operation: Operation, *states: str) -> str:
        """Wait until the tenant, or its job, is in one of these states."""
        give_up = operation.begun + self.patience
        while time() < give_up:
            body = await self._read_tenant(operation.tenant)
            operation.status = body["status"]
            operation.sent = operation.sent or bool(body.get("workflow_execution_id"))
            if {operation.status, body.get("workflow_sub_state")} & set(states):
                operation.ended = time()
                break
            await asyncio.sleep(POLL_INTERVAL)
        return operation.status

    async def _read_tenant(self, tenant: str) -> dict[str, Any]:
        answer = await self.landlord.get(tenant)
        if answer.status == HTTPStatus.NOT_FOUND:
            return {"status": "gone"}
        body: dict[str, Any] = answer.body
        return body


def _choose_action(random: Random, status: str) -> str:
    action = random.choices(tuple(ACTIONS), tuple(ACTIONS.values()))[0]
    if status in ("failed", "archived"):
        return "delete"
    return action
