import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core.errors import EngineFailed
from landlord_engines_restate.admin import AdminClient, AdminUnavailable, partition_key
from landlord_engines_restate.lock.reader import LockReader

ROW = {"service_key": "t", "value_utf8": json.dumps({"record": {"placements": []}})}


@pytest_asyncio.fixture
async def states(httpserver: HTTPServer) -> AsyncIterator[LockReader]:
    admin = AdminClient(httpserver.url_for("/"))
    yield LockReader(admin=admin, lock="T")
    await admin.aclose()


def respond(httpserver: HTTPServer, *rows: list[dict[str, str]]) -> None:
    for answer in rows:
        httpserver.expect_ordered_request("/query").respond_with_json({"rows": answer})


def queries(httpserver: HTTPServer) -> list[str]:
    return [request.get_json()["query"] for request, _ in httpserver.log]


async def test_a_state_is_queried_in_its_partition(
    states: LockReader, httpserver: HTTPServer
) -> None:
    respond(httpserver, [ROW], [])

    await states.read("t")
    state = await states.read("other")

    assert state.holder is None
    assert f"partition_key = {partition_key('t')}" in queries(httpserver)[0]
    assert len(queries(httpserver)) == 2


async def test_concurrent_readers_share_a_query(states: LockReader, httpserver: HTTPServer) -> None:
    respond(httpserver, [ROW])

    await asyncio.gather(states.read("t"), states.read("other"), states.read("t"))

    (query,) = queries(httpserver)
    assert query.count("partition_key = ") == 2


async def test_an_empty_answer_counts_once_a_row_has_confirmed_the_partition(
    states: LockReader, httpserver: HTTPServer
) -> None:
    proof = {"service_key": "x", "partition": str(partition_key("x"))}
    respond(httpserver, [], [], [], [proof], [])

    for _ in range(3):
        assert (await states.read("t")).holder is None

    assert ["LIMIT 1" in query for query in queries(httpserver)] == [False, True] * 2 + [False]


async def test_a_server_that_keeps_states_in_another_partition_is_recognised(
    states: LockReader, httpserver: HTTPServer
) -> None:
    respond(httpserver, [], [{"service_key": "x", "partition": "17"}])

    with pytest.raises(EngineFailed, match="computes in another way"):
        await states.read("t")


async def test_a_state_that_cannot_be_read_fails_its_tenant_alone(
    states: LockReader, httpserver: HTTPServer
) -> None:
    respond(httpserver, [ROW, {"service_key": "bad", "value_utf8": "{"}])

    read = asyncio.gather(states.read("t"), states.read("bad"), return_exceptions=True)
    good, bad = await read

    assert not isinstance(good, BaseException)
    assert isinstance(bad, EngineFailed)


async def test_without_an_answer_every_reader_gets_the_error(
    states: LockReader, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/query").respond_with_data("down", status=503)

    both = await asyncio.gather(states.read("t"), states.read("u"), return_exceptions=True)

    assert [type(error) for error in both] == [AdminUnavailable] * 2


@pytest.mark.parametrize("row", [{"value_utf8": "{}"}, {"service_key": "t"}])
async def test_a_row_without_its_key_or_value_is_reported_and_blocks_no_reader(
    states: LockReader, httpserver: HTTPServer, row: dict[str, str]
) -> None:
    respond(httpserver, [row])

    with pytest.raises(EngineFailed, match="shows a state of T without its"):
        await states.read("t")
