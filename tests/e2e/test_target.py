"""The target can show the faults that the other tests look for; otherwise they would prove nothing."""

from typing import Any

from landlord_test_target.harness import Harness


async def test_a_second_create_is_refused_where_names_are_unique(harness: Harness) -> None:
    body = _body(harness)

    assert await _create(harness, body) == 201
    assert await _create(harness, body) == 409

    assert len(await harness.target.resources(body["tenant"])) == 1


async def test_a_second_create_is_seen_where_names_are_not_unique(harness: Harness) -> None:
    body = _body(harness)
    await harness.target.set_fault(body["tenant"], "create", duplicate=1)

    assert await _create(harness, body) == 201
    assert await _create(harness, body) == 201

    assert len(await harness.target.resources(body["tenant"])) == 2
    assert len(await harness.target.ledger(body["tenant"], "create", "201")) == 2


async def test_faults_are_counted_for_one_tenant_and_call(harness: Harness) -> None:
    body = _body(harness)
    await harness.target.set_fault(body["tenant"], "create", fail=1, refuse=1)

    answers = [await _create(harness, body) for _ in range(3)]

    assert answers == [422, 503, 201]
    assert await _create(harness, _body(harness)) == 201


def _body(harness: Harness) -> dict[str, Any]:
    return {"tenant": harness.tenant(), "engine": "target", "location": "main"}


async def _create(harness: Harness, body: dict[str, Any]) -> int:
    async with harness.http.post(f"{harness.target.url}/create", json=body) as response:
        return response.status
