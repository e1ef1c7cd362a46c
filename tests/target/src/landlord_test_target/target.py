"""The client of the target's control API, and the target's process."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import aiohttp
import attrs

from landlord_test_target.waiting import wait_for


@contextmanager
def target_server(folder: Path) -> Iterator[str]:
    """Run the target as a process of its own, and yield its URL."""
    database = folder / "target.db"
    command = [sys.executable, "-m", "landlord_test_target.server", "--db", str(database)]
    with Popen(command, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


@attrs.define(kw_only=True)
class Target:
    """The client of the target's control API."""

    url: str
    http: aiohttp.ClientSession

    async def resources(self, tenant: str) -> list[dict[str, Any]]:
        return await self._get("resources", tenant)

    async def document(self, tenant: str) -> dict[str, Any]:
        (only,) = await self.resources(tenant)
        document: dict[str, Any] = json.loads(only["document"])
        return document

    async def ledger(
        self, tenant: str, call: str, outcome: str = "received"
    ) -> list[dict[str, Any]]:
        rows = await self.rows(tenant)
        return [row for row in rows if (row["call"], row["outcome"]) == (call, outcome)]

    async def rows(self, tenant: str) -> list[dict[str, Any]]:
        """Return the ledger of a tenant: a row for each request, and one for each effect."""
        return await self._get("ledger", tenant)

    async def wait_called(self, tenant: str, call: str, count: int = 1) -> None:
        """Wait until the target has received this many calls."""

        async def check() -> bool:
            return len(await self.ledger(tenant, call)) >= count

        await wait_for(check)

    async def set_fault(self, tenant: str, call: str, **kinds: float) -> None:
        await self._post("faults", {"tenant": tenant, "call": call, **kinds})

    async def delay_calls(self, tenant: str, delays: Sequence[Mapping[str, object]]) -> None:
        """Delay single calls, each given by its ``call``, ``nth``, ``moment`` and ``seconds``."""
        await self._post("delays", {"tenant": tenant, "delays": list(delays)})

    async def set_random_faults(self, seed: int, **kinds: float) -> None:
        """Set the chances of faults for every call."""
        await self._post("chances", {"seed": seed, **kinds})

    async def rows_of_all_tenants(self, table: str) -> list[dict[str, Any]]:
        """Return the ledger, or the resources, of all tenants."""
        return await self._get(table, "")

    async def hold_next_call(self, moment: str) -> bool:
        """Hold the next call ``before`` or ``after`` its effect, and return whether one came in time."""
        await self._post("hold-next", {"moment": moment})
        async with self.http.get(f"{self.url}/held") as response:
            is_held: bool = await response.json()
            return is_held

    async def release_call(self) -> None:
        """Release the held call."""
        await self._post("release", {})

    async def _post(self, path: str, body: Mapping[str, object]) -> None:
        async with self.http.post(f"{self.url}/{path}", json=body) as response:
            assert response.status == 200

    async def _get(self, table: str, tenant: str) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.url}/{table}", params={"tenant": tenant}) as response:
            rows: list[dict[str, Any]] = await response.json()
            return rows
