"""The example compute engine, which fits on one page, keeps the contract of compute engines."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landlord_compute_folder import FolderCompute, factory
from landlord_engines_core.api import (
    ComputeEngine,
    ComputeSpec,
    ComputeUnavailable,
    ResourceState,
    SettingsError,
)
from landlord_engines_core.compute.contract import digest_of
from landlord_test_target.compute_contract import ComputeContract, Subject
from landlord_test_target.compute_engines import make_compute_engine, read_section
from landlord_test_target.compute_targets.folder import FolderTarget


class FolderSubject(Subject):
    def __init__(self, folder: Path) -> None:
        self._target = FolderTarget(folder=folder)

    @property
    def target(self) -> FolderTarget:
        return self._target

    def engine(self, reached: Callable[[str], None] | None = None) -> ComputeEngine:
        engine: FolderCompute = make_compute_engine(factory, self.target.settings)
        return engine

    def with_refused_secret(self, secret: str) -> dict[str, Any] | None:
        return {"text": [secret]}

    def with_text(self, value: str) -> dict[str, Any]:
        return {"text": value}

    async def read_text(self, tenant: str) -> str:
        return str(self._content(tenant)["text"])

    async def versions(self, tenant: str) -> list[int]:
        return [int(self._content(tenant)["text"])] if self.file(tenant).exists() else []

    async def list_public_texts(self, tenant: str) -> str:
        return repr(list(self.target.folder.iterdir()))

    def file(self, tenant: str) -> Path:
        return self.target.folder / digest_of(tenant)

    def _content(self, tenant: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.file(tenant).read_text())
        return content


class TestFolder(ComputeContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        return FolderSubject(tmp_path / "tenants")


def build_spec(text: str) -> ComputeSpec:
    return ComputeSpec(
        tenant="t", name="acme", location="", config={"text": text}, config_hash=text
    )


async def test_a_write_that_fails_leaves_the_former_file_and_a_delete_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: FolderCompute = make_compute_engine(factory, {"path": str(tmp_path)})
    await engine.provision(build_spec("before"))

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "")

    with monkeypatch.context() as full_disk:
        full_disk.setattr(json, "dump", fail)
        with pytest.raises(ComputeUnavailable, match="ENOSPC"):
            await engine.provision(build_spec("after"))

    assert (await engine.inspect("t", "")).config_hash == "before"
    assert len(list(tmp_path.iterdir())) == 2
    assert await engine.destroy("t", "")
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_cannot_be_used_is_reported_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    engine: FolderCompute = make_compute_engine(
        factory, {"path": str(tmp_path / "file" / "sesame")}
    )

    with pytest.raises(ComputeUnavailable, match="cannot be used: ENOTDIR") as caught:
        await engine.provision(build_spec("x"))

    assert "sesame" not in str(caught.value)


async def test_a_folder_is_reached_before_it_exists(tmp_path: Path) -> None:
    engine: FolderCompute = make_compute_engine(factory, {"path": str(tmp_path / "tenants")})

    assert await engine.reach() == f"folder {tmp_path / 'tenants'}"
    assert (await engine.inspect("t", "")).state is ResourceState.MISSING


def test_a_path_that_depends_on_the_working_folder_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"compute\.folder\.path is not an absolute path"):
        read_section(factory, {"path": "tenants"})
    with pytest.raises(SettingsError, match=r"compute\.folder\.path is missing"):
        read_section(factory, {})


def test_other_keys_of_the_section_are_defaults_for_tenants() -> None:
    engine: FolderCompute = make_compute_engine(factory, {"path": "/tenants", "text": "hello"})

    assert engine.config_defaults() == {"text": "hello"}
