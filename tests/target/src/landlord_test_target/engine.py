"""The compute engines ``target`` and ``target2``, whose target is `landlord_test_target.server`."""

import os
import signal
from collections.abc import Mapping
from functools import partial
from typing import Any

import aiohttp
import attrs

from landlord_engines_core.compute import (
    ComputeContext,
    ComputeEngine,
    ComputeEngineFactory,
    ComputeEngineInfo,
    ComputeResult,
    ComputeSpec,
    Observation,
    ResourceState,
    send,
)
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_engines_core.settings import Secret
from landlord_engines_core.tenants import crash_loops

SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "version": {"type": "integer"},
        "location": {"type": "string", "maxLength": 20},
        "unhealthy": {"type": "boolean"},
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}

FIRST_PAUSE = "LANDLORD_TEST_FIRST_PAUSE"
"""Environment variable: seconds of the first pause of a job that is set apart."""

NO_KILL = "LANDLORD_TEST_NO_KILL"
"""Environment variable: if it is set, the version that kills a worker does not."""

LONGEST_CARRY = 10.0
"""Default of the setting, in seconds; a test may make the target's requests slower."""

REFUSED_VERSION, BROKEN_VERSION, KILLING_VERSION = 13, 14, 15
"""Versions in a configuration that the engine refuses, fails with, and kills its worker with."""


_NO_TOKEN = Secret("")


@attrs.frozen(kw_only=True)
class TargetSettings:
    """The operator's settings.

    Attributes:
        url: The target's URL.
        longest_carry: Seconds that a request may take.
        token: A secret that nothing needs; tests look for it in what a worker writes.
    """

    url: str
    longest_carry: float = LONGEST_CARRY
    token: Secret = _NO_TOKEN


@attrs.define
class TargetCompute(ComputeEngine):
    """A compute engine that keeps a tenant's hash on its resource and nothing in its process."""

    name: str
    url: str
    carry: float = LONGEST_CARRY
    _session: aiohttp.ClientSession | None = None

    def config_schema(self) -> Mapping[str, object]:
        return SCHEMA

    def config_defaults(self) -> Mapping[str, object]:
        return {"location": "main"}

    def validate(self, config: Mapping[str, object]) -> None:
        if config.get("version") == REFUSED_VERSION:
            raise ComputeRefused("$.version must not be 13")
        if config.get("version") == BROKEN_VERSION:
            raise RuntimeError(f"failed with {config}")  # as a careless engine's message would be
        if config.get("version") == KILLING_VERSION and NO_KILL not in os.environ:
            signal.raise_signal(signal.SIGKILL)

    def location(self, config: Mapping[str, object]) -> str:
        location = config["location"]
        if not isinstance(location, str) or len(location) > 20:
            # A delete's configuration was not checked against the schema.
            raise ComputeRefused("$.location is no location")
        return location

    async def inspect(self, tenant: str, location: str) -> Observation:
        status, document = await self._call(
            "GET", "inspect", {"tenant": tenant, "location": location}
        )
        if status == 404:
            return Observation(state=ResourceState.MISSING)
        state = ResourceState.FAILED if document["unhealthy"] else ResourceState.HEALTHY
        return Observation(
            state=state,
            config_hash=str(document["config_hash"]),
            key_hashes=document["key_hashes"],
            resource_ids={"id": str(document["id"])},
            detail="the target reports it" if document["unhealthy"] else "",
        )

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        status, document = await self._send("create", self._body(spec))
        if status == 409 and document["config_hash"] != spec.config_hash:
            return await self.update(spec)
        return ComputeResult(resource_ids={"id": str(document["id"])})

    async def update(self, spec: ComputeSpec) -> ComputeResult:
        status, document = await self._send("update", self._body(spec))
        if status == 404:
            return await self.provision(spec)
        reason = "it did not become healthy" if "rolled_back" in document else ""
        return ComputeResult(resource_ids={"id": str(document["id"])}, rolled_back=reason)

    async def destroy(self, tenant: str, location: str) -> bool:
        status, _ = await self._send("delete", {"tenant": tenant, "location": location})
        return status == 200

    @property
    def longest_carry(self) -> float:
        return self.carry

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _body(self, spec: ComputeSpec) -> dict[str, object]:
        return {
            "tenant": spec.tenant,
            "location": spec.location,
            "config_hash": spec.config_hash,
            "key_hashes": dict(spec.key_hashes),
            "unhealthy": bool(spec.config.get("unhealthy")),
            "version": spec.config.get("version"),
        }

    async def _send(self, call: str, body: dict[str, object]) -> tuple[int, dict[str, Any]]:
        # Core's `send` lets a request end after the job's cancellation.
        return await send(lambda: self._call("POST", call, body))

    async def _call(
        self, method: str, call: str, body: dict[str, object]
    ) -> tuple[int, dict[str, Any]]:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        document = {**body, "engine": self.name}
        url = f"{self.url}/{call}"
        query = {key: str(value) for key, value in document.items()} if method == "GET" else None
        try:
            async with self._session.request(
                method, url, params=query, json=None if query else document
            ) as response:
                status, found = response.status, await response.json()
        except aiohttp.ClientError as error:
            raise ComputeUnavailable("the target does not answer") from error
        if status == 422:
            raise ComputeRefused(found["reason"])
        if status == 503:
            raise ComputeUnavailable(found["reason"])
        return status, found


def _create(name: str, context: ComputeContext) -> TargetCompute:
    crash_loops.FIRST_PAUSE = float(os.environ.get(FIRST_PAUSE, crash_loops.FIRST_PAUSE))
    settings: TargetSettings = context.settings
    return TargetCompute(name, settings.url, carry=settings.longest_carry)


def _factory(name: str) -> ComputeEngineFactory:
    return ComputeEngineFactory(
        info=ComputeEngineInfo(name=name, contract=1),
        settings_type=TargetSettings,
        create_engine=partial(_create, name),
    )


target, target2 = _factory("target"), _factory("target2")
