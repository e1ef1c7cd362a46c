"""The contract of a compute engine, as one suite of tests for all of them.

A test module subclasses `ComputeContract` and provides the fixture ``subject``: an engine, and a way
to see and disturb its target from outside.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

import backoff
import pytest
from jsonschema import Draft202012Validator

from landlord_engines_core.compute import (
    ComputeEngine,
    ComputeRegistry,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_engines_core.models import config_hash, key_hashes
from landlord_engines_core.tenants.plan import Action, decide
from landlord_test_target.harness import wait_for

T = TypeVar("T")

SECRET = "sesame-7f3a"

HOSTILE_IDS = (
    "t-1",
    "t-10",
    "x-t-1",
    "../../etc/passwd",
    "..",
    "a b;$(touch /tmp/x)`id`|&",
    "-rf",
    "a=b,c",
    '{"a": ["b"]}',
    "line\nbreak\r\n",
    "\u00fcn\u00ef\u4e2d\U0001f600",
    "e\u0301 \u00e9",
    "\ud800half",
    "CAPITALS",
    "capitals",
    "x" * 253,
    " ",
    "%00%2e%2e",
)
"""Ids that a target's names, paths, filters or commands could trip over, some alike."""

HOSTILE_VALUES = (
    "plain value",
    "  spaces around  ",
    "$(touch /tmp/x)`id`;|&${HOME}",
    "a \"quoted\" 'value'\\",
    '{"a": ["b"]}, {port} %s {0}',
    "line\nbreak\r\n",
    "tab\tbell\a",
    "\u00fcn\u00ef\u4e2d\U0001f600",
    "e\u0301 \u00e9",
    "half of a pair: \ud800",
    "cut\0short",
    "long " * 1000,
)
"""Values that a shell, a template, a document or a system call could change on their way."""


class Interrupted(BaseException):
    """Error raised at a failpoint inside an act, in place of a crash."""


class Subject(ABC):
    """An engine under test, with a view of its target from outside.

    Attributes:
        points: The failpoints of each act.
        drifts: The changes that a test may make to a resource behind its engine's back.
    """

    points: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    drifts: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def engine(self, reached: Callable[[str], None] | None = None) -> ComputeEngine:
        """Create an engine without memory of its own, as in a new process."""

    @abstractmethod
    def config(self, version: int) -> dict[str, Any]:
        """Build a configuration; each version differs."""

    @abstractmethod
    def with_secret(self, secret: str) -> dict[str, Any]:
        """Build a configuration with a secret in every place where a tenant may have one."""

    @abstractmethod
    def refused(self, secret: str) -> dict[str, Any] | None:
        """Build a configuration with a secret that the engine refuses; None if it refuses none."""

    @abstractmethod
    def carrying(self, value: str) -> dict[str, Any]:
        """Build a configuration with a value in every place for a tenant's text."""

    @abstractmethod
    async def carried(self, tenant: str) -> str:
        """Read that value from the tenant's resource."""

    @abstractmethod
    async def versions(self, tenant: str) -> list[int]:
        """Return the versions of a tenant's resources on the target."""

    @abstractmethod
    async def shown(self, tenant: str) -> str:
        """Return the names and labels that everybody sees who may list the target's resources."""

    @abstractmethod
    async def disturb(self, tenant: str, drift: str) -> None:
        """Make one of `drifts` behind the engine's back."""

    def tenant(self, like: str = "") -> str:
        """Create a tenant's id, similar to another if given; the fixture removes its resources at the end."""
        return f"{like}{uuid4()}"


def spec(subject: Subject, tenant: str, version: int = 1, **more: object) -> ComputeSpec:
    """Build the spec that the lifecycle would send."""
    config = {**subject.config(version), **more}
    return ComputeSpec(
        tenant=tenant,
        name=f"name of {tenant}",
        location=subject.engine().location(config),
        config=config,
        config_hash=config_hash(config),
        key_hashes=key_hashes(config),
    )


async def healthy(engine: ComputeEngine, desired: ComputeSpec) -> Observation:
    """Wait until a tenant's resource is healthy."""

    async def check() -> Observation | None:
        observed = await engine.inspect(desired.tenant, desired.location)
        return observed if observed.state is ResourceState.HEALTHY else None

    observation = await wait_for(check)
    assert observation is not None
    return observation


async def insisted(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call until the target is not busy, as the lifecycle does."""
    again = backoff.on_exception(
        backoff.constant, ComputeUnavailable, interval=0.1, max_time=60, jitter=None, logger=None
    )(call)
    result: T = await again()
    return result


class ComputeContract:
    """The suite, which every engine has to pass."""

    async def test_a_tenant_without_a_resource_is_missing_and_its_delete_succeeds(
        self, subject: Subject
    ) -> None:
        engine, desired = subject.engine(), spec(subject, subject.tenant())

        assert await engine.inspect(desired.tenant, desired.location) == Observation(
            state=ResourceState.MISSING
        )
        assert not await engine.destroy(desired.tenant, desired.location)

    async def test_a_resource_keeps_the_hashes_of_its_spec(self, subject: Subject) -> None:
        engine, desired = subject.engine(), spec(subject, subject.tenant())

        provisioned = await engine.provision(desired)

        observed = await healthy(engine, desired)
        assert observed.config_hash == desired.config_hash
        assert observed.key_hashes == desired.key_hashes
        assert observed.resource_ids == provisioned.resource_ids

    async def test_an_operation_repeated_ten_times_has_the_effect_of_one(
        self, subject: Subject
    ) -> None:
        engine, tenant = subject.engine(), subject.tenant()
        first, second = spec(subject, tenant, 1), spec(subject, tenant, 2)

        results = [await engine.provision(first) for _ in range(10)]
        await healthy(engine, first)
        assert len({tuple(result.resource_ids.items()) for result in results}) == 1
        assert await subject.versions(tenant) == [1]

        updated = [await engine.update(second) for _ in range(10)]
        await healthy(engine, second)
        assert len({tuple(result.resource_ids.items()) for result in updated}) == 1
        assert not any(result.rolled_back for result in updated)
        assert await subject.versions(tenant) == [2]

        gone = [await engine.destroy(tenant, first.location) for _ in range(10)]
        assert gone == [True, *[False] * 9]
        assert await subject.versions(tenant) == []

    async def test_another_worker_adopts_an_existing_resource(self, subject: Subject) -> None:
        tenant = subject.tenant()
        desired = spec(subject, tenant)
        provisioned = await subject.engine().provision(desired)
        another = subject.engine()

        observed = await healthy(another, desired)
        adopted = await another.provision(desired)

        assert observed.config_hash == desired.config_hash
        assert adopted.resource_ids == provisioned.resource_ids
        assert await subject.versions(tenant) == [1]
        assert await another.destroy(tenant, desired.location)
        assert await subject.versions(tenant) == []

    async def test_provision_updates_a_resource_with_another_config(self, subject: Subject) -> None:
        engine, tenant = subject.engine(), subject.tenant()
        await engine.provision(spec(subject, tenant, 1))
        await healthy(engine, spec(subject, tenant, 1))

        await engine.provision(spec(subject, tenant, 2))

        await healthy(engine, spec(subject, tenant, 2))
        assert await subject.versions(tenant) == [2]

    async def test_update_creates_a_missing_resource(self, subject: Subject) -> None:
        engine, desired = subject.engine(), spec(subject, subject.tenant())

        await engine.update(desired)

        await healthy(engine, desired)
        assert await subject.versions(desired.tenant) == [1]

    async def test_drift_is_detected_and_repaired(self, subject: Subject) -> None:
        engine = subject.engine()

        async def brought_back(drift: str) -> None:
            desired = spec(subject, subject.tenant())
            await engine.provision(desired)
            await healthy(engine, desired)

            await subject.disturb(desired.tenant, drift)

            seen = await engine.inspect(desired.tenant, desired.location)
            assert decide(desired, seen).action is not Action.NOTHING, drift
            await engine.update(desired)
            after = await healthy(engine, desired)
            assert decide(desired, after).action is Action.NOTHING, drift
            assert await subject.versions(desired.tenant) == [1], drift

        await asyncio.gather(*map(brought_back, subject.drifts))

    async def test_another_worker_completes_an_operation_interrupted_at_any_failpoint(
        self, subject: Subject
    ) -> None:
        async def brought_to_its_end(act: str, point: str) -> None:
            tenant = await _interrupt_act(subject, act, point)

            another = subject.engine()
            await _acted(another, subject, tenant, act)

            await _ended(another, subject, tenant, act)

        await asyncio.gather(
            *(brought_to_its_end(*act_and_point) for act_and_point in _points(subject))
        )

    async def test_an_update_interrupted_at_any_failpoint_can_be_reverted(
        self, subject: Subject
    ) -> None:
        async def taken_back(point: str) -> None:
            tenant = await _interrupt_act(subject, "update", point)

            another, first = subject.engine(), spec(subject, tenant, 1)
            await another.update(first)

            await healthy(another, first)
            assert await subject.versions(tenant) == [1], point

        await asyncio.gather(*map(taken_back, subject.points.get("update", ())))

    async def test_a_delete_leaves_nothing_of_an_interrupted_operation(
        self, subject: Subject
    ) -> None:
        async def deleted(act: str, point: str) -> None:
            tenant = await _interrupt_act(subject, act, point)

            another = subject.engine()
            await another.destroy(tenant, spec(subject, tenant).location)

            assert await subject.versions(tenant) == [], point

        await asyncio.gather(*(deleted(*act_and_point) for act_and_point in _points(subject)))

    async def test_many_tenants_at_once_each_get_their_own_resource(self, subject: Subject) -> None:
        engine = subject.engine()
        specs = [spec(subject, subject.tenant(), number % 2 + 1) for number in range(8)]

        results = await asyncio.gather(*(engine.provision(desired) for desired in specs))

        assert len({tuple(result.resource_ids.items()) for result in results}) == len(specs)
        for number, desired in enumerate(specs):
            await healthy(engine, desired)
            assert await subject.versions(desired.tenant) == [number % 2 + 1]

    async def test_simultaneous_operations_of_two_workers_make_one_resource(
        self, subject: Subject
    ) -> None:
        tenant = subject.tenant()
        workers = [subject.engine(), subject.engine()]
        location = spec(subject, tenant).location
        for version in (1, 2):
            desired = spec(subject, tenant, version)
            acts = (partial(workers[n % 2].provision, desired) for n in range(6))
            await asyncio.gather(*map(insisted, acts))
            await healthy(workers[0], desired)
            assert await subject.versions(tenant) == [version]

        deletes = (partial(workers[n % 2].destroy, tenant, location) for n in range(6))
        gone = await asyncio.gather(*map(insisted, deletes))

        assert any(gone)
        assert await subject.versions(tenant) == []

    async def test_ids_of_any_characters_are_distinguished(self, subject: Subject) -> None:
        engine = subject.engine()
        tenants = [subject.tenant(name) for name in HOSTILE_IDS]
        specs = [spec(subject, tenant, n % 2 + 1) for n, tenant in enumerate(tenants)]
        await asyncio.gather(*(engine.provision(desired) for desired in specs))

        await engine.destroy(tenants[0], specs[0].location)

        for number, desired in enumerate(specs[1:], 1):
            observed = await healthy(engine, desired)
            assert observed.config_hash == desired.config_hash
            assert await subject.versions(desired.tenant) == [number % 2 + 1]
        gone = await asyncio.gather(
            *(engine.destroy(desired.tenant, desired.location) for desired in specs)
        )
        assert gone == [False, *[True] * (len(specs) - 1)]

    async def test_values_of_any_characters_arrive_unchanged_or_are_refused(
        self, subject: Subject
    ) -> None:
        engine = subject.engine()
        registry = ComputeRegistry({"engine": engine})

        async def arrives_or_is_refused(value: str) -> None:
            desired = spec(subject, subject.tenant(), **subject.carrying(value))
            if (refusal := await _refusal(registry, desired)) is None:
                await healthy(engine, desired)
                assert await subject.carried(desired.tenant) == value
            else:
                assert value not in refusal
                assert await subject.versions(desired.tenant) == []

        await asyncio.gather(*map(arrives_or_is_refused, HOSTILE_VALUES))

    async def test_no_output_shows_a_secret(
        self, subject: Subject, caplog: pytest.LogCaptureFixture
    ) -> None:
        # As the host has it: libraries are heard from warnings on.
        caplog.set_level(logging.WARNING)
        caplog.set_level(logging.DEBUG, "landlord_engines")
        engine, tenant = subject.engine(), subject.tenant()
        registry = ComputeRegistry({"engine": engine})
        desired = spec(subject, tenant, **subject.with_secret(SECRET))

        provisioned = await engine.provision(desired)
        observed = await healthy(engine, desired)
        outputs = [repr(value) for value in (engine, desired, provisioned, observed)]
        if (refused := subject.refused(SECRET)) is not None:
            refusal = await _refusal(registry, spec(subject, subject.tenant(), **refused))
            assert refusal is not None
            outputs.append(refusal)

        outputs += [caplog.text, await subject.shown(tenant)]
        assert not [text for text in outputs if SECRET in text]

    async def test_the_schema_is_valid_and_accepts_the_configurations_of_the_tests(
        self, subject: Subject
    ) -> None:
        engine = subject.engine()
        registry = ComputeRegistry({"engine": engine})

        Draft202012Validator.check_schema(engine.config_schema())
        for version in (1, 2):
            registry.check("engine", subject.config(version))


async def _refusal(registry: ComputeRegistry, desired: ComputeSpec) -> str | None:
    """Check a spec as the lifecycle does, and return the reason of a refusal."""
    (name,) = registry
    try:
        registry.check(name, desired.config)
        await registry.engine(name).provision(desired)
    except ComputeRefused as error:
        return f"{error} {error!r}"
    return None


def _points(subject: Subject) -> Iterator[tuple[str, str]]:
    for act, points in subject.points.items():
        for point in points:
            yield act, point


async def _interrupt_act(subject: Subject, act: str, point: str) -> str:
    """Create a tenant whose act was interrupted at this failpoint."""
    tenant = subject.tenant()
    await _prepared(subject, tenant, act)
    with pytest.raises(Interrupted):
        await _acted(subject.engine(_interrupting(point)), subject, tenant, act)
    return tenant


def _interrupting(point: str) -> Callable[[str], None]:
    def reached(at: str) -> None:
        if at == point:
            raise Interrupted(point)

    return reached


async def _prepared(subject: Subject, tenant: str, act: str) -> None:
    if act != "create":
        await subject.engine().provision(spec(subject, tenant, 1))
        await healthy(subject.engine(), spec(subject, tenant, 1))


def _acted(engine: ComputeEngine, subject: Subject, tenant: str, act: str) -> Awaitable[object]:
    if act == "delete":
        return engine.destroy(tenant, spec(subject, tenant).location)
    return engine.provision(spec(subject, tenant, 2))


async def _ended(engine: ComputeEngine, subject: Subject, tenant: str, act: str) -> None:
    if act == "delete":
        assert await subject.versions(tenant) == []
        return
    await healthy(engine, spec(subject, tenant, 2))
    assert await subject.versions(tenant) == [2]
