from collections.abc import AsyncIterator

import attrs
import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core.dev import User
from landlord_engines_core.errors import DemoFailed


@pytest_asyncio.fixture
async def user(httpserver: HTTPServer) -> AsyncIterator[User]:
    async with User.connect(httpserver.url_for("/v1")) as user:
        yield attrs.evolve(user, timeout=0.2)


async def test_a_tenant_state_that_is_not_reached_in_time_is_named(user: User) -> None:
    async def never() -> bool:
        return False

    with pytest.raises(DemoFailed, match="a miracle was not seen within"):
        await user.wait_for("a miracle", never)


async def test_the_wait_for_a_tenant_that_does_not_become_ready_is_limited(
    user: User, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/v1/tenants/x").respond_with_json({"status": "failed"})

    with pytest.raises(DemoFailed, match="the tenant ready was not seen"):
        await user.wait_ready("x")


async def test_a_refusal_by_landlord_is_reported(user: User, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/tenants").respond_with_json({"error": "no"}, status=400)

    with pytest.raises(DemoFailed, match="answered POST tenants with status 400"):
        await user.create("x", {})


async def test_an_address_without_a_listener_has_no_page(user: User, unused_tcp_port: int) -> None:
    assert await user.page(f"http://127.0.0.1:{unused_tcp_port}/") == []


async def test_a_missing_tenant_is_empty(user: User, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/tenants/x").respond_with_data("", status=404)

    assert await user.tenant("x") == {}
