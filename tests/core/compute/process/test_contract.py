"""The contract of compute engines, with real processes."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from landlord_engines_core.compute import ComputeEngine
from landlord_test_target.compute_contract import ComputeContract, Subject
from landlord_test_target.compute_engines import process_engine
from landlord_test_target.compute_targets.process import STATUS, ProcessTarget


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

    def __init__(self, folder: Path) -> None:
        self._target = ProcessTarget(folder=folder)

    @property
    def target(self) -> ProcessTarget:
        return self._target

    def engine(self, reached: Callable[[str], None] | None = None) -> ComputeEngine:
        engine = process_engine(self.target.settings)
        return engine if reached is None else attrs.evolve(engine, reached=reached)

    def with_refused_secret(self, secret: str) -> dict[str, Any] | None:
        return {"command": [f"/{secret}/program", secret], **self.with_text(secret)}

    def with_text(self, value: str) -> dict[str, Any]:
        return {"env": self.target.secret_config(value)["env"]}

    async def read_text(self, tenant: str) -> str:
        (process,) = self.target.commands(tenant)
        # psutil changes the line ends of a command line.
        block = Path(f"/proc/{process.pid}/environ").read_bytes()
        (variable,) = (entry for entry in block.split(b"\0") if entry.startswith(b"KEY="))
        return os.fsdecode(variable.removeprefix(b"KEY="))

    async def versions(self, tenant: str) -> list[int]:
        version = {str(status): number for number, status in STATUS.items()}
        return [version[process.environ()["STATUS"]] for process in self.target.commands(tenant)]

    async def list_public_texts(self, tenant: str) -> str:
        (process,) = self.target.commands(tenant)
        runner = process.parent()
        assert runner is not None
        return repr((process.cmdline(), runner.cmdline(), list(self.target.folder.iterdir())))


class TestProcess(ComputeContract):
    @pytest.fixture
    def subject(self, folder: Path) -> Subject:
        return ProcessSubject(folder)
