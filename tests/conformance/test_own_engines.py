"""The engines of this repository under the conformance kit; `nox -s conformance` keeps their reports."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from landlord_engines_core.conformance import (
    ComputeEngineSuite,
    Target,
    Waiver,
    WorkerEngineSuite,
)

pytestmark = pytest.mark.long


class TestRestate(WorkerEngineSuite):
    engine = "restate"
    settings: ClassVar[Mapping[str, Any]] = {"admin_endpoint": "http://127.0.0.1:9"}
    waivers: ClassVar[tuple[Waiver, ...]] = (
        Waiver(
            "LOCK-2",
            "Restate passes the lock on at a kill; record and resync repair it (decision 14)",
        ),
    )
    patience = 120.0


class TestDirect(WorkerEngineSuite):
    engine = "direct"
    settings: ClassVar[Mapping[str, Any]] = {"path": "/nonexistent/jobs.db"}
    waivers: ClassVar[tuple[Waiver, ...]] = (
        Waiver("DISK-1", "an example: the file gets the mode of the process's umask"),
    )


class TestSqlite(WorkerEngineSuite):
    engine = "sqlite"


class TestStub(WorkerEngineSuite):
    engine = "stepfunctions"


@attrs.frozen(kw_only=True)
class FolderTarget:
    """The view of a folder with a file for each tenant."""

    folder: Path
    cuts: int = 10
    drifts: tuple[str, ...] = ("removed", "changed")

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"path": str(self.folder)}

    def config(self, version: int) -> Mapping[str, object]:
        return {"text": str(version)}

    def secret_config(self, secret: str) -> Mapping[str, object]:
        return {"text": secret}

    async def look(self, tenant: str) -> Collection[object]:
        return list(self.folder.glob(f"{self._file(tenant).name}*"))

    async def disturb(self, tenant: str, drift: str) -> None:
        file = self._file(tenant)
        if drift == "removed":
            file.unlink()
        else:
            file.write_text(json.dumps({**json.loads(file.read_text()), "text": "3"}))

    def _file(self, tenant: str) -> Path:
        return self.folder / hashlib.sha256(tenant.encode(errors="surrogatepass")).hexdigest()


class TestFolder(ComputeEngineSuite):
    engine = "folder"

    def target(self, folder: Path) -> Target:
        return FolderTarget(folder=folder)


class TestMock(ComputeEngineSuite):
    engine = "mock"


class TestProcess(ComputeEngineSuite):
    engine = "process"


class TestDocker(ComputeEngineSuite):
    engine = "docker"


class TestEcs(ComputeEngineSuite):
    engine = "ecs"
