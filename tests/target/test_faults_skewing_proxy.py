"""The proxy shifts the clocks of Restate's nodes."""

from datetime import datetime

import aiohttp
import pytest
from pytest_httpserver import HTTPServer

from landlord_test_target.faults.skewing_proxy import run_skewing_proxy

ACCEPTED = "2026-11-28T12:00:00.5Z"
ROWS = [
    {"id": f"inv_{number}", "created_at": ACCEPTED, "status": "running"} for number in range(99)
]


async def shown(url: str) -> list[float]:
    """Return each job's shift in seconds, by the answers of the proxy."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/query", json={"query": "select *"}) as answer,
    ):
        rows = (await answer.json())["rows"]
    accepted = datetime.fromisoformat(ACCEPTED)
    return [(datetime.fromisoformat(row["created_at"]) - accepted).total_seconds() for row in rows]


async def test_a_jobs_time_is_always_shifted_by_the_same_clock(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/query").respond_with_json({"rows": ROWS})

    async with run_skewing_proxy(httpserver.url_for("").rstrip("/"), seed=7, seconds=30) as clocks:
        first, second = await shown(clocks.url), await shown(clocks.url)

    assert first == second
    assert set(first) == {-30.0, 0.0, 30.0}
    assert len(clocks.skewed) == sum(shift != 0 for shift in first)


@pytest.mark.parametrize("status", [200, 404])
async def test_all_other_answers_pass_unchanged(httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request("/services/S", query_string="a=b").respond_with_data(
        "{}", status=status, content_type="application/json"
    )

    async with (
        run_skewing_proxy(httpserver.url_for("").rstrip("/"), seed=7, seconds=30) as clocks,
        aiohttp.ClientSession() as session,
        session.get(f"{clocks.url}/services/S?a=b") as answer,
    ):
        assert (answer.status, await answer.text()) == (status, "{}")


async def test_the_proxy_answers_502_while_the_admin_api_is_down() -> None:
    async with (
        run_skewing_proxy("http://127.0.0.1:1", seed=7, seconds=30) as clocks,
        aiohttp.ClientSession() as session,
        session.get(f"{clocks.url}/health") as answer,
    ):
        assert answer.status == 502
