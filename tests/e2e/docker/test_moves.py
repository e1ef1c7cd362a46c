"""A tenant moves from a container to a process and back, by updates through Restate."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from landlord_engines_core.compute.process.runner import MARK
from landlord_test_target.commands import answering_server, create_mark, find_processes
from landlord_test_target.docker import SETTINGS, WEB, TenantContainers
from landlord_test_target.harness import Harness


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for tenants; processes that are left at the end are killed."""
    folder = tmp_path / "tenants"
    yield folder
    for pid in psutil.pids():
        with suppress(psutil.Error, ProcessLookupError):
            if psutil.Process(pid).environ().get(MARK, "").startswith(str(folder)):
                os.kill(pid, signal.SIGKILL)


async def test_a_tenant_moves_from_a_container_to_a_process_and_back(
    harness: Harness, tenant: TenantContainers, folder: Path
) -> None:
    config = harness.config(compute_provider="docker")
    config["compute"]["docker"] = dict(SETTINGS)
    config["compute"]["process"] = {"folder": str(folder)}
    await (await harness.launch(config)).wait_registered()
    tenants_mark = create_mark()
    seen = []

    for provider, keys in (
        ("docker", {"image": f"{WEB}:1"}),
        ("process", answering_server(tenants_mark)),
        ("docker", {"image": f"{WEB}:2"}),
        ("process", answering_server(tenants_mark, status=204)),
    ):
        await harness.run(tenant.tenant, "update", provider, **keys)
        seen.append((tenant.versions, len(find_processes(tenants_mark))))
    await harness.run(tenant.tenant, "delete")

    assert seen == [([1], 0), ([], 1), ([2], 0), ([], 1)]
    assert tenant.ids == []
    assert find_processes(tenants_mark) == []
    assert [path.name for path in folder.iterdir()] == ["ports"]
