"""A restate-server in a container, where it cannot be run; tests/e2e/docker has it running."""

import platform
import sys
from pathlib import Path

import pytest

from landlord_engines_core.errors import EngineFailed, PluginImportFailed
from landlord_engines_restate import RestateSettings, factory
from landlord_engines_restate.local.container import RestateContainer

start = factory.other_local_backends["container"]


@pytest.fixture
def server(tmp_path: Path) -> RestateContainer:
    binary = tmp_path / "restate-server"
    binary.touch()
    return RestateContainer(binary=binary, folder=tmp_path / "data")


async def test_without_testcontainers_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "landlord_engines_restate.local.container")
    monkeypatch.setitem(sys.modules, "testcontainers.core.config", None)

    with pytest.raises(PluginImportFailed, match="testcontainers") as caught:
        async with start(RestateSettings(), tmp_path):
            pytest.fail("it cannot start")

    assert caught.value.hint == "pip install 'landlord-engines-restate[container]'"


async def test_systems_other_than_linux_are_refused(
    server: RestateContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")

    with pytest.raises(EngineFailed, match="needs Linux"):
        await server.start()


async def test_a_docker_engine_that_does_not_answer_is_reported_as_such(
    server: RestateContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")

    with pytest.raises(EngineFailed, match="could not run a restate-server") as caught:
        await server.start()

    assert "docker info" in caught.value.hint
