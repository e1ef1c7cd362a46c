"""Tenants as local processes, behind a real worker and a real restate-server."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from landlord_engines_core.compute.process.runner import MARK
from landlord_test_target.commands import answering_server, create_mark, find_processes
from landlord_test_target.harness import Harness


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Create a folder for tenants, and kill their remaining processes at the end."""
    folder = tmp_path / "tenants"
    yield folder
    for pid in psutil.pids():
        with suppress(psutil.Error, ProcessLookupError):
            if psutil.Process(pid).environ().get(MARK, "").startswith(str(folder)):
                os.kill(pid, signal.SIGKILL)


async def test_a_process_outlives_its_worker_and_is_found_again(
    harness: Harness, folder: Path
) -> None:
    config = harness.config()
    config["compute"]["process"] = {"folder": str(folder)}
    worker = await (await harness.launch(config)).wait_registered()
    tenant, tenants_mark = harness.tenant(), create_mark()
    assert (
        await harness.run(tenant, "provision", "process", **answering_server(tenants_mark))
        == "created"
    )
    (first,) = find_processes(tenants_mark)

    await worker.kill()
    left = find_processes(tenants_mark)
    await (await harness.launch(config)).wait_registered()
    again = await harness.run(tenant, "provision", "process", **answering_server(tenants_mark))

    assert left == [first]
    assert again == "unchanged"
    assert find_processes(tenants_mark) == [first]
    changed = answering_server(tenants_mark, status=204)
    assert await harness.run(tenant, "update", "process", **changed) == "updated"
    (second,) = find_processes(tenants_mark)
    assert second != first
    assert await harness.run(tenant, "delete", "process") == "deleted"
    assert find_processes(tenants_mark) == []


async def test_an_update_that_does_not_become_healthy_is_rolled_back_and_held(
    harness: Harness, folder: Path
) -> None:
    config = harness.config()
    config["compute"]["process"] = {"folder": str(folder)}
    await (await harness.launch(config)).wait_registered()
    tenant, tenants_mark = harness.tenant(), create_mark()
    await harness.run(tenant, "provision", "process", **answering_server(tenants_mark))

    job = await harness.send(
        tenant, "update", "process", **{**answering_server(tenants_mark), "command": ["/bin/false"]}
    )
    await harness.wait_held(job, "the command ended with exit code 1")

    (process,) = find_processes(tenants_mark)
    assert process.environ()["STATUS"] == "200"
