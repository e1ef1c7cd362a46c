"""The life of one tenant, as its user sees it."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import attrs

from landlord_engines_core.dev.user import User

__all__ = ["Demo", "Progress", "command_of"]

Progress = Callable[[str], AbstractContextManager[object]]
"""Entered with what is about to be seen, left once it was seen."""


def command_of(page: str) -> list[str]:
    """The command of a tenant whose page says this."""
    return [sys.executable, "-m", "landlord_engines_core.dev.page", page]


@attrs.define(kw_only=True)
class Demo:
    """Takes one tenant from create to delete.

    Attributes:
        user: Who asks and looks.
        port: Where the tenant's page is.
        progress: Told of each thing that is to be seen.
    """

    user: User
    port: int
    progress: Progress

    @property
    def url(self) -> str:
        """The tenant's page."""
        return f"http://127.0.0.1:{self.port}/"

    async def run(self) -> None:
        """Walk the whole way.

        Raises:
            DemoFailed: Something was not as it should be.
        """
        with self.progress("create: the tenant's page says version one"):
            tenant = await self.user.create("demo", self._config("version one"))
            await self.user.wait_ready(tenant)
            await self._says("version one")
        with self.progress("update: the page says version two"):
            await self._updated(tenant, "version two")
            await self._says("version two")
        with self.progress("the same update: nothing is done, the process is the same"):
            await self._same(tenant)
        with self.progress("its process is killed: the next update repairs it"):
            await self._repaired(tenant)
        with self.progress("a bad update: rolled back, the page still says version two"):
            await self._rolled_back(tenant)
        with self.progress("delete: the page and the tenant are gone"):
            await self._deleted(tenant)

    def _config(self, page: str) -> Mapping[str, object]:
        return {"command": command_of(page), "port": self.port, "health": {"http": "/"}}

    async def _updated(self, tenant: str, page: str) -> None:
        await self.user.update(tenant, self._config(page))
        await self.user.wait_ready(tenant)

    async def _says(self, page: str) -> str:
        """Wait until the page says this; answers with the line that names the process."""

        async def look() -> str:
            lines = await self.user.page(self.url)
            return lines[1] if lines[:1] == [page] else ""

        return await self.user.wait_for(f"a page that says {page!r}", look)

    async def _same(self, tenant: str) -> None:
        before = await self._says("version two")
        await self._updated(tenant, "version two")

        async def look() -> bool:
            return await self._says("version two") == before

        await self.user.wait_for("the same process", look)

    async def _repaired(self, tenant: str) -> None:
        before = await self._says("version two")
        os.kill(int(before.split()[-1]), signal.SIGKILL)

        async def nothing() -> bool:
            return not await self.user.page(self.url)

        await self.user.wait_for("a page that is down", nothing)
        await self._updated(tenant, "version two")
        await self._says("version two")

    async def _rolled_back(self, tenant: str) -> None:
        bad = {**self._config("never"), "command": [sys.executable, "-c", "raise SystemExit(7)"]}
        await self.user.update(tenant, bad)

        async def held() -> bool:
            return (await self.user.tenant(tenant)).get("workflow_sub_state") == "backing-off"

        await self.user.wait_for("the update held", held)
        await self._says("version two")

    async def _deleted(self, tenant: str) -> None:
        await self.user.delete(tenant)

        async def gone() -> bool:
            return not await self.user.tenant(tenant)

        await self.user.wait_for("the tenant gone", gone)

        async def down() -> bool:
            return not await self.user.page(self.url)

        await self.user.wait_for("the page gone", down)
