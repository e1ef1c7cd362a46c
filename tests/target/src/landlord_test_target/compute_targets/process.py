"""The target of the engine `process`."""

import os
import shutil
import signal
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import psutil

from landlord_engines_core.compute.contract import digest_of
from landlord_engines_core.compute.process.runner import MARK
from landlord_test_target.commands import answering_server
from landlord_test_target.waiting import wait_for

__all__ = ["STATUS", "ProcessTarget"]

STATUS = {1: 200, 2: 204}
"""The status with which each version answers."""


@attrs.frozen(kw_only=True)
class ProcessTarget:
    """The processes of this machine, and a folder with a folder for each tenant."""

    folder: Path
    cuts: int = 10
    drifts: tuple[str, ...] = ("command killed", "runner killed", "folder removed")

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"folder": str(self.folder)}

    def config(self, version: int) -> dict[str, Any]:
        return answering_server("", status=STATUS[version])

    def secret_config(self, secret: str) -> dict[str, Any]:
        env = {"STATUS": "200", "KEY": secret}
        return {**self.config(1), "env": env}

    async def look(self, tenant: str) -> Collection[psutil.Process | Path]:
        """List the tenant's commands; without one, its folder and its claims of ports."""
        folder = self.folder / digest_of(tenant)
        claims = [
            path for path in self.folder.glob("ports/*") if path.readlink().name == folder.name
        ]
        return self.commands(tenant) or [*claims, *(path for path in (folder,) if path.exists())]

    async def disturb(self, tenant: str, drift: str) -> None:
        (command,) = self.commands(tenant)
        runner = command.parent()
        assert runner is not None
        if drift == "command killed":
            os.kill(command.pid, signal.SIGKILL)
        elif drift == "runner killed":
            os.kill(runner.pid, signal.SIGKILL)
        else:
            shutil.rmtree(self.folder / digest_of(tenant))

        async def runner_is_gone() -> bool:
            return not runner.is_running() or runner.status() == psutil.STATUS_ZOMBIE

        await wait_for(runner_is_gone)

    def commands(self, tenant: str) -> list[psutil.Process]:
        """List the processes of the tenant's command."""
        folder = str(self.folder / digest_of(tenant))
        return [process for process, mark in self._marked() if mark == folder]

    def kill_all(self) -> None:
        """Kill what a failed test has left."""
        for process, mark in self._marked():
            if mark.startswith(str(self.folder)):
                with suppress(psutil.Error):
                    process.kill()

    @staticmethod
    def _marked() -> list[tuple[psutil.Process, str]]:
        marked = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                marked.append((process, process.environ().get(MARK, "")))
        return marked
