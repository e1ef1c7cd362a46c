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

import pytest
from jsonschema import Draft202012Validator

from landlord_engines_core.compute import (
    ComputeEngine,
    ComputeRegistry,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.conformance import Target
from landlord_engines_core.conformance.compute.checks import CANARY
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_engines_core.models import config_hash, key_hashes
from landlord_engines_core.retries import retry
from landlord_engines_core.tenants.plan import Action, decide
from landlord_test_target.harness import wait_for

T = TypeVar("T")

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
"""Ids that could break a target's names, paths, filters or commands; some of them are similar."""

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
"""Values that a shell, a template, a document or a system call could change."""


class Interrupted(BaseException):
    """Error raised at a failpoint inside an act, in place of a crash."""


class Subject(ABC):
    """An engine under test, with a view of its target from outside.

    Attributes:
        points: The failpoints of each act.
    """

    points: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    @property
    @abstractmethod
    def target(self) -> Target:
        """The view of the target, which the conformance kit's rules use too."""

    @abstractmethod
    def engine(self, reached: Callable[[str], None] | None = None) -> ComputeEngine:
        """Create an engine without memory of its own, as in a new process."""

    @abstractmethod
    def with_refused_secret(self, secret: str) -> dict[str, Any] | None:
        """Build a configuration that has a secret and that the engine refuses; None if there is none."""

    @abstractmethod
    def with_text(self, value: str) -> dict[str, Any]:
        """Build a configuration with a value in every place for a tenant's text."""

    @abstractmethod
    async def read_text(self, tenant: str) -> str:
        """Read the value of `with_text` from the tenant's resource."""

    @abstractmethod
    async def versions(self, tenant: str) -> list[int]:
        """Return the versions of a tenant's resources on the target."""

    @abstractmethod
    async def list_public_texts(self, tenant: str) -> str:
        """Return the names and labels that everybody sees who may list the target's resources."""

    def tenant(self, like: str = "") -> str:
        """Create a tenant's id, similar to another if given; the fixture removes its resources at the end."""
        return f"{like}{uuid4()}"


def spec(
    subject: Subject, tenant: str, version: int = 1, more: Mapping[str, object] | None = None
) -> ComputeSpec:
    """Build the spec that the lifecycle would send, with more keys than a version's configuration."""
    config = {**subject.target.config(version), **(more or {})}
    return ComputeSpec(
        tenant=tenant,
        name=f"name of {tenant}",
        location=subject.engine().location(config),
        config=config,
        config_hash=config_hash(config),
        key_hashes=key_hashes(config),
    )


async def wait_healthy(engine: ComputeEngine, desired: ComputeSpec) -> Observation:
    """Wait until a tenant's resource is healthy."""

    async def check() -> Observation | None:
        observed = await engine.inspect(desired.tenant, desired.location)
        return observed if observed.state is ResourceState.HEALTHY else None

    observation = await wait_for(check)
    assert observation is not None
    return observation


async def retry_while_busy(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call while it raises ComputeUnavailable, as the lifecycle does."""
    return await retry(call, ComputeUnavailable, first=0.1, longest=0.1, within=60)


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

        observed = await wait_healthy(engine, desired)
        assert observed.config_hash == desired.config_hash
        assert observed.key_hashes == desired.key_hashes
        assert observed.resource_ids == provisioned.resource_ids

    async def test_an_operation_repeated_ten_times_has_the_effect_of_one(
        self, subject: Subject
    ) -> None:
        engine, tenant = subject.engine(), subject.tenant()
        first, second = spec(subject, tenant, 1), spec(subject, tenant, 2)

        results = [await engine.provision(first) for _ in range(10)]
        await wait_healthy(engine, first)
        assert len({tuple(result.resource_ids.items()) for result in results}) == 1
        assert await subject.versions(tenant) == [1]

        updated = [await engine.update(second) for _ in range(10)]
        await wait_healthy(engine, second)
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
        second_worker = subject.engine()

        observed = await wait_healthy(second_worker, desired)
        adopted = await second_worker.provision(desired)

        assert observed.config_hash == desired.config_hash
        assert adopted.resource_ids == provisioned.resource_ids
        assert await subject.versions(tenant) == [1]
        assert await second_worker.destroy(tenant, desired.location)
        assert await subject.versions(tenant) == []

    async def test_provision_updates_a_resource_with_another_config(self, subject: Subject) -> None:
        engine, tenant = subject.engine(), subject.tenant()
        await engine.provision(spec(subject, tenant, 1))
        await wait_healthy(engine, spec(subject, tenant, 1))

        await engine.provision(spec(subject, tenant, 2))

        await wait_healthy(engine, spec(subject, tenant, 2))
        assert await subject.versions(tenant) == [2]

    async def test_update_creates_a_missing_resource(self, subject: Subject) -> None:
        engine, desired = subject.engine(), spec(subject, subject.tenant())

        await engine.update(desired)

        await wait_healthy(engine, desired)
        assert await subject.versions(desired.tenant) == [1]

    async def test_drift_is_detected_and_repaired(self, subject: Subject) -> None:
        engine = subject.engine()

        async def repair_drift(drift: str) -> None:
            desired = spec(subject, subject.tenant())
            await engine.provision(desired)
            await wait_healthy(engine, desired)

            await subject.target.disturb(desired.tenant, drift)

            drifted = await engine.inspect(desired.tenant, desired.location)
            assert decide(desired, drifted).action is not Action.NOTHING, drift
            await engine.update(desired)
            after = await wait_healthy(engine, desired)
            assert decide(desired, after).action is Action.NOTHING, drift
            assert await subject.versions(desired.tenant) == [1], drift

        assert subject.target.drifts
        await asyncio.gather(*map(repair_drift, subject.target.drifts))

    async def test_another_worker_completes_an_operation_interrupted_at_any_failpoint(
        self, subject: Subject
    ) -> None:
        async def complete_interrupted(act: str, point: str) -> None:
            tenant = await _interrupt_act(subject, act, point)

            second_worker = subject.engine()
            await _act(second_worker, subject, tenant, act)

            await _check_result(second_worker, subject, tenant, act)

        await asyncio.gather(
            *(complete_interrupted(*act_and_point) for act_and_point in _list_points(subject))
        )

    async def test_an_update_interrupted_at_any_failpoint_can_be_reverted(
        self, subject: Subject
    ) -> None:
        async def revert_interrupted(point: str) -> None:
            tenant = await _interrupt_act(subject, "update", point)

            second_worker, first = subject.engine(), spec(subject, tenant, 1)
            await second_worker.update(first)

            await wait_healthy(second_worker, first)
            assert await subject.versions(tenant) == [1], point

        await asyncio.gather(*map(revert_interrupted, subject.points.get("update", ())))

    async def test_a_delete_leaves_nothing_of_an_interrupted_operation(
        self, subject: Subject
    ) -> None:
        async def delete_interrupted(act: str, point: str) -> None:
            tenant = await _interrupt_act(subject, act, point)

            second_worker = subject.engine()
            await second_worker.destroy(tenant, spec(subject, tenant).location)

            assert await subject.versions(tenant) == [], point

        await asyncio.gather(
            *(delete_interrupted(*act_and_point) for act_and_point in _list_points(subject))
        )

    async def test_many_tenants_at_once_each_get_their_own_resource(self, subject: Subject) -> None:
        engine = subject.engine()
        specs = [spec(subject, subject.tenant(), number % 2 + 1) for number in range(8)]

        results = await asyncio.gather(*(engine.provision(desired) for desired in specs))

        assert len({tuple(result.resource_ids.items()) for result in results}) == len(specs)
        for number, desired in enumerate(specs):
            await wait_healthy(engine, desired)
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
            await asyncio.gather(*map(retry_while_busy, acts))
            await wait_healthy(workers[0], desired)
            assert await subject.versions(tenant) == [version]

        deletes = (partial(workers[n % 2].destroy, tenant, location) for n in range(6))
        gone = await asyncio.gather(*map(retry_while_busy, deletes))

        assert any(gone)
        assert await subject.versions(tenant) == []

    async def test_ids_of_any_characters_are_distinguished(self, subject: Subject) -> None:
        engine = subject.engine()
        tenants = [subject.tenant(name) for name in HOSTILE_IDS]
        specs = [spec(subject, tenant, n % 2 + 1) for n, tenant in enumerate(tenants)]
        await asyncio.gather(*(engine.provision(desired) for desired in specs))

        await engine.destroy(tenants[0], specs[0].location)

        for number, desired in enumerate(specs[1:], 1):
            observed = await wait_healthy(engine, desired)
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
            desired = spec(subject, subject.tenant(), more=subject.with_text(value))
            if (refusal := await _find_refusal(registry, desired)) is None:
                await wait_healthy(engine, desired)
                assert await subject.read_text(desired.tenant) == value
            else:
                assert value not in refusal
                assert await subject.versions(desired.tenant) == []

        await asyncio.gather(*map(arrives_or_is_refused, HOSTILE_VALUES))

    async def test_no_output_shows_a_secret(
        self, subject: Subject, caplog: pytest.LogCaptureFixture
    ) -> None:
        # The host sets the same levels: libraries log warnings and errors only.
        caplog.set_level(logging.WARNING)
        caplog.set_level(logging.DEBUG, "landlord_engines")
        engine, tenant = subject.engine(), subject.tenant()
        registry = ComputeRegistry({"engine": engine})
        desired = spec(subject, tenant, more=subject.target.secret_config(CANARY))

        provisioned = await engine.provision(desired)
        observed = await wait_healthy(engine, desired)
        outputs = [repr(value) for value in (engine, desired, provisioned, observed)]
        if (refused := subject.with_refused_secret(CANARY)) is not None:
            refusal = await _find_refusal(registry, spec(subject, subject.tenant(), more=refused))
            assert refusal is not None
            outputs.append(refusal)

        outputs += [caplog.text, await subject.list_public_texts(tenant)]
        assert not [text for text in outputs if CANARY in text]

    async def test_the_schema_is_valid_and_accepts_the_configurations_of_the_tests(
        self, subject: Subject
    ) -> None:
        engine = subject.engine()
        registry = ComputeRegistry({"engine": engine})

        Draft202012Validator.check_schema(engine.config_schema())
        for version in (1, 2):
            registry.check("engine", subject.target.config(version))


async def _find_refusal(registry: ComputeRegistry, desired: ComputeSpec) -> str | None:
    """Check a spec as the lifecycle does, and return the reason of a refusal."""
    (name,) = registry
    try:
        registry.check(name, desired.config)
        await registry.engine(name).provision(desired)
    except ComputeRefused as error:
        return f"{error} {error!r}"
    return None


def _list_points(subject: Subject) -> Iterator[tuple[str, str]]:
    for act, points in subject.points.items():
        for point in points:
            yield act, point


async def _interrupt_act(subject: Subject, act: str, point: str) -> str:
    """Create a tenant whose act was interrupted at this failpoint."""
    tenant = subject.tenant()
    await _prepare(subject, tenant, act)
    with pytest.raises(Interrupted):
        await _act(subject.engine(_interrupt_at(point)), subject, tenant, act)
    return tenant


def _interrupt_at(point: str) -> Callable[[str], None]:
    def reached(at: str) -> None:
        if at == point:
            raise Interrupted(point)

    return reached


async def _prepare(subject: Subject, tenant: str, act: str) -> None:
    if act != "create":
        await subject.engine().provision(spec(subject, tenant, 1))
        await wait_healthy(subject.engine(), spec(subject, tenant, 1))


def _act(engine: ComputeEngine, subject: Subject, tenant: str, act: str) -> Awaitable[object]:
    if act == "delete":
        return engine.destroy(tenant, spec(subject, tenant).location)
    return engine.provision(spec(subject, tenant, 2))


async def _check_result(engine: ComputeEngine, subject: Subject, tenant: str, act: str) -> None:
    if act == "delete":
        assert await subject.versions(tenant) == []
        return
    await wait_healthy(engine, spec(subject, tenant, 2))
    assert await subject.versions(tenant) == [2]
