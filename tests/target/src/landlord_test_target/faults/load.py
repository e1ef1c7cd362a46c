"""Users of Landlord, who create, change and archive tenants at random."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from random import Random
from time import time
from typing import Any

import attrs

from landlord_test_target.landlord import Caller

__all__ = ["Load", "Operation"]

LOOK = 0.2
"""Seconds between two looks at a tenant."""

TAKEN = (HTTPStatus.OK, HTTPStatus.ACCEPTED)
AT_REST = ("ready", "archived", "failed", "gone")

DEEDS: Mapping[str, float] = {
    "update": 50,
    "move": 10,
    "same again": 8,
    "mistake": 5,
    "archive": 12,
    "delete": 15,
}
IMPATIENT = 0.2
"""How often a user does not wait for the end before the next deed."""


@attrs.define(kw_only=True)
class Operation:
    """One request of a user; times are seconds since the epoch, 0 for not yet.

    Attributes:
        sent: Whether Landlord showed a job for it.
        status: The tenant's status at the last look.
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
        asked: All operations, oldest first.
        tenants: The names of all tenants so far, by id.
        refused: What Landlord did not take, by deed and answer.
    """

    landlord: Caller
    seed: int
    users: int
    engines: Sequence[str] = ("target", "target2")
    patience: float = 150.0
    enough: asyncio.Event = attrs.field(factory=asyncio.Event)
    asked: list[Operation] = attrs.field(factory=list)
    tenants: dict[str, str] = attrs.field(factory=dict)
    refused: Counter[str] = attrs.field(factory=Counter)
    _group: asyncio.TaskGroup = attrs.field(factory=asyncio.TaskGroup, init=False)

    async def run(self) -> None:
        """Run all users until there were enough operations; each waits for its last one."""
        async with self._group:
            for number in range(self.users):
                self._group.create_task(self._user(number))

    @property
    def running(self) -> list[Operation]:
        """List the operations whose job was seen and has not ended."""
        return [operation for operation in self.asked if operation.sent and not operation.ended]

    async def _user(self, number: int) -> None:
        dice = Random(f"{self.seed}-{number}")
        life = 0
        while not self.enough.is_set():
            life += 1
            await self._life(dice, f"user-{number}-tenant-{life}")

    async def _life(self, dice: Random, name: str) -> None:
        config = self._config(dice)
        tenant = await self.landlord.create(name, **config)
        self.tenants[tenant] = name
        status = await self._wait_seen(self._note(tenant, "create", config), dice)
        while status != "gone" and not self.enough.is_set():
            deed = _deed(dice, status)
            operation = await self._do(deed, tenant, config, dice)
            if operation is None:
                return
            config, status = operation.config, await self._wait_seen(operation, dice)

    def _config(self, dice: Random) -> Mapping[str, object]:
        return {
            "compute_provider": dice.choice(self.engines),
            "location": dice.choice(("main", "east")),
            "version": dice.randrange(100, 1_000_000),
        }

    def _wanted(
        self, deed: str, config: Mapping[str, object], dice: Random
    ) -> Mapping[str, object]:
        if deed == "update":
            return {**config, "version": dice.randrange(100, 1_000_000)}
        if deed == "move":
            return self._config(dice)
        if deed == "mistake":
            return {**config, "version": dice.randrange(100, 1_000_000), "unhealthy": True}
        return config

    def _note(self, tenant: str, kind: str, config: Mapping[str, object]) -> Operation:
        operation = Operation(tenant=tenant, kind=kind, config=config)
        self.asked.append(operation)
        return operation

    async def _do(
        self, deed: str, tenant: str, config: Mapping[str, object], dice: Random
    ) -> Operation | None:
        """Send a request to Landlord; return ``None`` if Landlord refuses, or the tenant is unknown."""
        desired = self._wanted(deed, config, dice)
        operation = self._note(tenant, deed, desired)
        if deed in ("archive", "delete"):
            call = self.landlord.archive if deed == "archive" else self.landlord.delete
            answer = await call(tenant)
        else:
            answer = await self.landlord.update(tenant, **desired)
        if answer.status in TAKEN:
            if deed == "mistake":
                return await self._put_right(operation, config)
            return operation
        self.asked.remove(operation)
        self.refused[f"{deed}: {answer.status}"] += 1
        return operation if answer.status == HTTPStatus.CONFLICT else None

    async def _put_right(self, mistake: Operation, config: Mapping[str, object]) -> Operation:
        """Wait until a mistake fails, and restore the configuration before it."""
        await self._until(mistake, "backing-off", *AT_REST)
        operation = self._note(mistake.tenant, "put right", config)
        answer = await self.landlord.update(mistake.tenant, **config)
        if answer.status not in TAKEN:
            self.refused[f"put right: {answer.status}"] += 1
        return operation

    async def _wait_seen(self, operation: Operation, dice: Random) -> str:
        """Wait for the operation's end, or only for a moment, and return the tenant's status."""
        watch = self._group.create_task(self._until(operation, *AT_REST))
        hurry = operation.kind != "put right" and dice.random() < IMPATIENT
        await asyncio.wait((watch,), timeout=dice.uniform(0, 1) if hurry else None)
        return operation.status

    async def _until(self, operation: Operation, *states: str) -> str:
        """Wait until the tenant, or its job, is in one of these states."""
        give_up = operation.begun + self.patience
        while time() < give_up:
            body = await self._look(operation.tenant)
            operation.status = body["status"]
            operation.sent = operation.sent or bool(body.get("workflow_execution_id"))
            if {operation.status, body.get("workflow_sub_state")} & set(states):
                operation.ended = time()
                break
            await asyncio.sleep(LOOK)
        return operation.status

    async def _look(self, tenant: str) -> dict[str, Any]:
        answer = await self.landlord.get(tenant)
        if answer.status == HTTPStatus.NOT_FOUND:
            return {"status": "gone"}
        body: dict[str, Any] = answer.body
        return body


def _deed(dice: Random, status: str) -> str:
    deed = dice.choices(tuple(DEEDS), tuple(DEEDS.values()))[0]
    if status in ("failed", "archived"):
        return "delete"
    return deed
