"""The demo: one tenant from create to delete, as its user sees it."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import attrs

from landlord_engines_core.dev.user import User

__all__ = ["Demo", "Progress", "page_command"]

Progress = Callable[[str], AbstractContextManager[object]]
"""Context that is entered with a description of the next step, and left after it."""


def page_command(page: str) -> list[str]:
    """Make the command of a tenant whose page shows this text."""
    return [sys.executable, "-m", "landlord_engines_core.dev.page", page]


@attrs.define(kw_only=True)
class Demo:
    """Takes one tenant from create to delete.

    Attributes:
        user: A user of Landlord.
        port: The port of the tenant's page.
        progress: Shows each step.
    """

    user: User
    port: int
    progress: Progress

    @property
    def url(self) -> str:
        """URL of the tenant's page."""
        return f"http://127.0.0.1:{self.port}/"

    async def run(self) -> None:
        """Run all steps.

        Raises:
            DemoFailed: A step had not the expected result in time.
        """
        with self.progress("create: the tenant's page says version one"):
            tenant = await self.user.create("demo", self._config("version one"))
            await self.user.wait_ready(tenant)
            await self._wait_page("version one")
        with self.progress("update: the page says version two"):
            await self._update(tenant, "version two")
            await self._wait_page("version two")
        with self.progress("the same update: nothing is done, and the process is the same"):
            await self._repeat_update(tenant)
        with self.progress("its process is killed: the next update repairs it"):
            await self._kill_and_repair(tenant)
        with self.progress("a bad update: rolled back, the page still says version two"):
            await self._roll_back(tenant)
        with self.progress("delete: the page and the tenant are gone"):
            await self._delete(tenant)

    def _config(self, page: str) -> Mapping[str, object]:
        return {"command": page_command(page), "port": self.port, "health": {"http": "/"}}

    async def _update(self, tenant: str, page: str) -> None:
        await self.user.update(tenant, self._config(page))
        await self.user.wait_ready(tenant)

    async def _wait_page(self, page: str) -> str:
        """Wait until the page shows this text, and return its line about the process."""

        async def read() -> str:
            lines = await self.user.page(self.url)
            return lines[1] if lines[:1] == [page] else ""

        return await self.user.wait_for(f"a page that says {page!r}", read)

    async def _repeat_update(self, tenant: str) -> None:
        before = await self._wait_page("version two")
        await self._update(tenant, "version two")

        async def is_same() -> bool:
            return await self._wait_page("version two") == before

        await self.user.wait_for("the same process", is_same)

    async def _kill_and_repair(self, tenant: str) -> None:
        before = await self._wait_page("version two")
        # The line ends with the id of the process.
        os.kill(int(before.split()[-1]), signal.SIGKILL)

        await self._wait_down()
        await self._update(tenant, "version two")
        await self._wait_page("version two")

    async def _roll_back(self, tenant: str) -> None:
        bad = {**self._config("never"), "command": [sys.executable, "-c", "raise SystemExit(7)"]}
        await self.user.update(tenant, bad)

        async def is_held() -> bool:
            return (await self.user.tenant(tenant)).get("workflow_sub_state") == "backing-off"

        await self.user.wait_for("the update held", is_held)
        await self._wait_page("version two")

    async def _delete(self, tenant: str) -> None:
        await self.user.delete(tenant)

        async def is_absent() -> bool:
            return not await self.user.tenant(tenant)

        await self.user.wait_for("the tenant gone", is_absent)
        await self._wait_down()

    async def _wait_down(self) -> None:
        async def is_down() -> bool:
            return not await self.user.page(self.url)

        await self.user.wait_for("the page down", is_down)
