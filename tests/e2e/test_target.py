"""The target can show the faults that the other tests look for; otherwise they would prove nothing."""

from typing import Any

from landlord_test_target.harness import World


async def test_a_second_create_is_refused_where_names_are_unique(world: World) -> None:
    body = _body(world)

    assert await _create(world, body) == 201
    assert await _create(world, body) == 409

    assert len(await world.target.resources(body["tenant"])) == 1


async def test_a_second_create_is_seen_where_names_are_not_unique(world: World) -> None:
    body = _body(world)
    await world.target.set_fault(body["tenant"], "create", duplicate=1)

    assert await _create(world, body) == 201
    assert await _create(world, body) == 201

    assert len(await world.target.resources(body["tenant"])) == 2
    assert len(await world.target.ledger(body["tenant"], "create", "201")) == 2


async def test_faults_are_counted_for_one_tenant_and_call(world: World) -> None:
    body = _body(world)
    await world.target.set_fault(body["tenant"], "create", fail=1, refuse=1)

    answers = [await _create(world, body) for _ in range(3)]

    assert answers == [422, 503, 201]
    assert await _create(world, _body(world)) == 201


def _body(world: World) -> dict[str, Any]:
    return {"tenant": world.tenant(), "engine": "target", "location": "main"}


async def _create(world: World, body: dict[str, Any]) -> int:
    async with world.http.post(f"{world.target.url}/create", json=body) as response:
        return response.status
