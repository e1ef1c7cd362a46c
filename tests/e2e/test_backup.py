"""The commands of docs/operating/backup.md on a real restate-server, and what they bring back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from landlord_test_target.documents import read_commands
from landlord_test_target.harness import Harness
from landlord_test_target.shell import Shell, open_shell

BACK_UP, *RESTORE, CHECK = [
    command.command for command in read_commands("docs/operating/backup.md")
]


@pytest_asyncio.fixture(loop_scope="session")
async def shell(dedicated_harness: Harness, tmp_path: Path) -> AsyncIterator[Shell]:
    names = {"/var/lib/restate": str(dedicated_harness.restate.folder)}
    async with open_shell(tmp_path, names=names) as shell:
        yield shell


async def back_up(harness: Harness, shell: Shell) -> None:
    await harness.restate.stop()
    await shell.run(BACK_UP)
    await harness.restate.start()


async def restore(harness: Harness, shell: Shell) -> None:
    await harness.restate.stop()
    for command in RESTORE:
        await shell.run(command)
    await harness.restate.start()


@pytest.mark.long
async def test_a_restored_server_continues_its_jobs_and_later_changes_are_seen_on_the_target(
    dedicated_harness: Harness, shell: Shell
) -> None:
    harness = dedicated_harness
    worker = await harness.worker()
    changed, held, late = (harness.tenant() for _ in range(3))
    await harness.run(changed, "provision", version=1)
    job = await harness.send(held, "provision", provider="unknown-engine")
    await harness.wait_held(job, "unknown-engine")
    await back_up(harness, shell)
    await harness.run(changed, "update", version=2)
    await harness.run(late, "provision", version=1)

    await restore(harness, shell)
    code, checked = await worker.command(*CHECK.split()[3:])

    assert code == 0, checked
    assert await harness.wait_held(job, "unknown-engine")
    assert [row["operation"] for row in await harness.history(changed)] == ["provision"]
    assert await harness.run(changed, "update", version=2) == "unchanged"
    assert await harness.run(late, "delete") == "deleted"
    assert await harness.target.resources(late) == []
