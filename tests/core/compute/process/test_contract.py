"""The contract of compute engines, with real processes."""

import hashlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import attrs
import psutil
import pytest

from landlord_engines_core.compute import ComputeEngine
from landlord_engines_core.compute.process.runner import MARK
from landlord_test_target.commands import answering_server
from landlord_test_target.compute_contract import ComputeContract, Subject
from landlord_test_target.compute_engines import process_engine
from landlord_test_target.harness import wait_for

STATUS = {1: 200, 2: 204}
"""The status with which each version answers."""


class ProcessSubject(Subject):
    points: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "create": (
            "create:claimed",
            "create:ended",
            "create:written",
            "create:spawned",
            "create:begun",
        ),
        "update": (
            "update:noted",
            "update:claimed",
            "update:ended",
            "update:written",
            "update:spawned",
            "update:begun",
            "update:stable",
        ),
        "delete": ("destroy:begun", "destroy:ended", "destroy:released", "destroy:removed"),
    }
    drifts: ClassVar[tuple[str, ...]] = ("command killed", "runner killed", "folder removed")

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def engine(self, reached: Callable[[str], None] | None = None) -> ComputeEngine:
        engine = process_engine({"folder": str(self.folder)})
        return engine if reached is None else attrs.evolve(engine, reached=reached)

    def config(self, version: int) -> dict[str, Any]:
        return answering_server("", status=STATUS[version])

    def with_secret(self, secret: str) -> dict[str, Any]:
        return self.with_text(secret)

    def with_refused_secret(self, secret: str) -> dict[str, Any] | None:
        return {"command": [f"/{secret}/program", secret], **self.with_text(secret)}

    def with_text(self, value: str) -> dict[str, Any]:
        return {"env": {"STATUS": "200", "KEY": value}}

    async def read_text(self, tenant: str) -> str:
        (process,) = self._living(tenant)
        # psutil changes the line ends of a command line.
        block = Path(f"/proc/{process.pid}/environ").read_bytes()
        (variable,) = (entry for entry in block.split(b"\0") if entry.startswith(b"KEY="))
        return os.fsdecode(variable.removeprefix(b"KEY="))

    async def versions(self, tenant: str) -> list[int]:
        version = {str(status): number for number, status in STATUS.items()}
        return [version[process.environ()["STATUS"]] for process in self._living(tenant)]

    async def list_public_texts(self, tenant: str) -> str:
        (process,) = self._living(tenant)
        runner = process.parent()
        assert runner is not None
        return repr((process.cmdline(), runner.cmdline(), list(self.folder.iterdir())))

    async def disturb(self, tenant: str, drift: str) -> None:
        (process,) = self._living(tenant)
        runner = process.parent()
        assert runner is not None
        if drift == "command killed":
            os.kill(process.pid, signal.SIGKILL)
        elif drift == "runner killed":
            os.kill(runner.pid, signal.SIGKILL)
        else:
            shutil.rmtree(self._folder(tenant))

        async def runner_is_gone() -> bool:
            return not runner.is_running() or runner.status() == psutil.STATUS_ZOMBIE

        await wait_for(runner_is_gone)

    def _folder(self, tenant: str) -> Path:
        digest = hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()
        return self.folder / digest

    def _living(self, tenant: str) -> list[psutil.Process]:
        processes = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == str(self._folder(tenant)):
                    processes.append(process)
        return processes


class TestProcess(ComputeContract):
    @pytest.fixture
    def subject(self, folder: Path) -> Subject:
        return ProcessSubject(folder)
