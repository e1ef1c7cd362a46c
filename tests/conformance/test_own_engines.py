"""The engines of this repository under the conformance kit; `nox -s conformance` keeps their reports."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from landlord_engines_core.conformance import (
    ComputeEngineSuite,
    Target,
    Waiver,
    WorkerEngineSuite,
)
from landlord_test_target.aws import ENVIRONMENT, Aws, run_moto
from landlord_test_target.compute_targets.docker import DockerTarget
from landlord_test_target.compute_targets.ecs import EcsTarget
from landlord_test_target.compute_targets.folder import FolderTarget
from landlord_test_target.compute_targets.process import ProcessTarget
from landlord_test_target.docker import make_images, start_daemon

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def docker() -> None:
    """A daemon that runs and has the images of the tests."""
    start_daemon()
    make_images()


@pytest.fixture(scope="module")
def moto() -> Iterator[Aws]:
    """AWS as moto simulates it, and its credentials in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in ENVIRONMENT.items():
            patch.setenv(key, value)
        with run_moto() as aws:
            yield aws


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


class TestSqlite(WorkerEngineSuite):
    engine = "sqlite"


class TestStub(WorkerEngineSuite):
    engine = "stepfunctions"
    incomplete = "it serves nothing, and has no local backend"


class TestFolder(ComputeEngineSuite):
    engine = "folder"

    def target(self, folder: Path) -> Target:
        return FolderTarget(folder=folder)


class TestMock(ComputeEngineSuite):
    engine = "mock"
    incomplete = "its resources are in memory, where no other process sees them"


class TestProcess(ComputeEngineSuite):
    engine = "process"

    @pytest.fixture(autouse=True)
    def _leave_no_process(self, tmp_path: Path) -> Iterator[None]:
        yield
        ProcessTarget(folder=tmp_path).kill_all()

    def target(self, folder: Path) -> Target:
        return ProcessTarget(folder=folder)


class TestDocker(ComputeEngineSuite):
    engine = "docker"

    @pytest.fixture(autouse=True)
    def _leave_no_container(self, docker: None, tmp_path: Path) -> Iterator[None]:
        yield
        DockerTarget(label=str(tmp_path)).remove_all()

    def target(self, folder: Path) -> Target:
        return DockerTarget(label=str(folder.parent))


class TestEcs(ComputeEngineSuite):
    engine = "ecs"
    aws: Aws

    @pytest.fixture(autouse=True)
    def _use_moto(self, moto: Aws) -> None:
        self.aws = moto

    def target(self, folder: Path) -> Target:
        return EcsTarget.create(self.aws)
