"""After a new version under a new URL, `move` lets it continue the old version's jobs."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress

import pytest
from restate import Context, Service
from restate.serde import BytesSerde

from landlord_test_target.documents import read_commands, reduce_output
from landlord_test_target.endpoints import serve_services
from landlord_test_target.harness import Harness, Worker, free_port, wait_for


def url(worker: Worker) -> str:
    return f"http://{worker.config['workflow']['restate']['worker_address']}"


async def move(harness: Harness, *arguments: str, old: Worker) -> tuple[int, str]:
    """Run the command on the newest worker's machine."""
    return await harness.workers[-1].command("move", "--from", url(old), *arguments)


async def move_waiting(harness: Harness, *jobs: str, old: Worker) -> tuple[int, str]:
    """Repeat the command, as its output says, while an attempt of one of these jobs runs."""
    texts: list[str] = []

    async def check() -> tuple[int, str] | None:
        code, text = await move(harness, old=old)
        texts.append(text)
        running = (line for line in text.splitlines() if line.startswith("running"))
        no_attempt_runs = not any(job in line for line in running for job in jobs)
        return (code, "".join(texts)) if no_attempt_runs else None

    output = await wait_for(check)
    assert output is not None
    return output


def last_line(text: str, job: str) -> str:
    """Return the last line that `move` printed about a job."""
    lines = [line for line in text.splitlines() if job in line]
    return " ".join(lines[-1].split())


async def start_held_job(harness: Harness, tenant: str) -> str:
    await harness.target.set_fault(tenant, "create", refuse=-1)
    job = await harness.send(tenant, "provision", version=1)
    await harness.wait_held(job, "refuses this")
    return job


async def start_backing_off_job(harness: Harness, tenant: str) -> str:
    await harness.target.set_fault(tenant, "create", fail=-1)
    job = await harness.send(tenant, "provision", version=1)
    await harness.wait_held(job, "trouble")
    return job


async def start_running_job(harness: Harness, tenant: str) -> str:
    await harness.target.set_fault(tenant, "create", hold=1)
    job = await harness.send(tenant, "provision", version=1)
    await harness.target.wait_called(tenant, "create")
    return job


async def start_waiting_job(harness: Harness, tenant: str) -> tuple[str, str]:
    """Start a job that runs, and one that waits for its lock."""
    holder = await start_running_job(harness, tenant)
    waiting = await harness.send(tenant, "update", version=2)
    await harness.wait_status(waiting, "suspended")
    # A call of the lock that still runs would not be moved.
    await harness.wait_acquire_suspended()
    return holder, waiting


async def test_held_backing_off_and_waiting_jobs_continue_on_the_new_version(
    harness: Harness,
) -> None:
    old = await harness.worker(hold_retry_interval="30s")
    held, failing, waited = (f"{kind}-{harness.tenant()}" for kind in ("held", "failing", "waited"))
    held_id = await start_held_job(harness, held)
    failing_id = await start_backing_off_job(harness, failing)
    holder, waiting_id = await start_waiting_job(harness, waited)
    await harness.worker(hold_retry_interval="1s")

    code, dry = await move(harness, "--dry-run", old=old)

    assert (code, dry.splitlines()[-1].split(";")[0]) == (0, "dry run, nothing was changed"), dry
    assert await count_pinned(harness, old) == 5

    code, text = await move_waiting(harness, failing_id, old=old)

    documented = next(
        block.output for block in read_commands("docs/operating/upgrade.md") if block.output
    )
    printed = text.replace(harness.service, "TenantProvisioning")
    assert reduce_output(documented) <= reduce_output(printed)

    # The job's call to the lock is open as well.
    assert sum(line.startswith("moved") for line in text.splitlines()) == 4
    assert last_line(text, held_id).startswith(f"moved {harness.service}/execute tenant '{held}'")
    assert last_line(text, held_id).endswith("was backing-off")
    # `move` prints the state from before the pause, when an attempt may have been running.
    assert last_line(text, failing_id).endswith(("was backing-off", "was running"))
    assert last_line(text, waiting_id).endswith("was suspended")
    assert last_line(text, holder).startswith("running")
    assert f"moved {harness.service}Tenant/acquire tenant '{waited}'" in " ".join(text.split())
    assert code == 3
    assert f"LE304: executions that still need {url(old)}: 1" in text

    for tenant in (held, failing, waited):
        await harness.target.set_fault(tenant, "create")
    await harness.wait_status(holder, "completed")
    code, text = await move(harness, old=old)

    assert code == 0, text
    assert f"nothing needs {url(old)} any more: you can remove it" in text
    assert await old.terminate() == 0
    for job in (held_id, failing_id):
        assert (await harness.wait_done(job))["output"]["status"] == "created"
    assert (await harness.wait_done(waiting_id))["output"]["status"] == "updated"
    for tenant in (held, failing, waited):
        assert len(await harness.target.ledger(tenant, "create", "201")) == 1
        assert len(await harness.target.resources(tenant)) == 1


async def test_jobs_of_a_removed_version_continue_on_the_new_one(harness: Harness) -> None:
    old = await harness.worker(resync_after="1s")
    running, resynced = harness.tenant(), harness.tenant()
    job = await start_running_job(harness, running)
    await harness.run(resynced, "delete", version=1)
    await harness.target.set_fault(resynced, "inspect", fail=-1)
    await old.wait_logged("step failed", tenant=resynced)
    await old.kill()
    await harness.target.set_fault(running, "create")
    untried = await harness.send(harness.tenant(), "provision", version=1)
    await harness.wait_held(untried, "unable to reach")
    await harness.worker()

    code, text = await move(harness, old=old)

    assert code == 0, text
    assert last_line(text, job).endswith("was backing-off")
    assert f"{harness.service}Resync/resync tenant '{resynced}'" in " ".join(text.split())
    # No version had accepted the job yet, so it need not be moved.
    assert untried not in text
    assert await harness.wait_done(job)
    assert await harness.wait_done(untried)
    assert len(await harness.target.resources(running)) == 1


@pytest.mark.long  # Restate gives a connection up after ten seconds
async def test_jobs_of_a_version_on_an_unresponsive_machine_continue_on_the_new_one(
    harness: Harness,
) -> None:
    old = await harness.worker()
    tenant = harness.tenant()
    job = await start_backing_off_job(harness, tenant)
    await old.kill()
    with silent_port(int(url(old).rpartition(":")[2])):
        await harness.wait_held(job, "unable to reach")
        await harness.wait_status(job, "running")
        await harness.worker()
        await harness.target.set_fault(tenant, "create")

        code, text = await move_waiting(harness, job, old=old)

        assert code == 0, text
        assert last_line(text, job).startswith("moved")
        assert await harness.wait_done(job)


async def test_a_superseded_job_is_killed_and_not_moved(
    harness: Harness,
) -> None:
    old = await harness.worker()
    tenant = harness.tenant()
    older = await harness.send(tenant, "provision", provider="unknown", version=1)
    await harness.wait_held(older, "unknown")
    await old.kill()
    await harness.worker()
    younger = await harness.send(tenant, "update", version=2)
    await harness.wait_done(younger)

    _, dry = await move(harness, "--dry-run", old=old)
    code, text = await move(harness, old=old)

    for output in (dry, text):
        assert last_line(output, older).startswith("killed")
        assert last_line(output, older).endswith(
            f"{younger} was dispatched later and has had the lock"
        )
    assert code == 0, text
    assert (await harness.wait_row(older))["completion_failure"] == "[409] killed"
    assert (await harness.target.document(tenant))["version"] == 2


async def test_jobs_paused_by_an_interrupted_move_are_moved_by_the_next(
    harness: Harness,
) -> None:
    old = await harness.worker()
    tenant = harness.tenant()
    job = await start_backing_off_job(harness, tenant)
    await harness.admin.pause(job)
    await harness.wait_status(job, "paused")
    await harness.worker()
    await harness.target.set_fault(tenant, "create")

    code, text = await move(harness, old=old)

    assert code == 0, text
    assert last_line(text, job).endswith("was paused")
    assert await harness.wait_done(job)


async def test_a_job_whose_journal_does_not_fit_returns_to_its_old_version(
    harness: Harness,
) -> None:
    old = await harness.worker()
    failing, waited = harness.tenant(), harness.tenant()
    job = await start_backing_off_job(harness, failing)
    holder, waiting = await start_waiting_job(harness, waited)
    async with serve_other_version(harness, "execute"):
        code, text = await move_waiting(harness, job, old=old)

        assert code == 3, text
        assert "the latest version cannot continue its journal: it has to end" in last_line(
            text, job
        )
        assert last_line(text, waiting).startswith("left")
        # This version has no lock object, so no lock could be moved.
        assert "no other version serves it" in text

        for tenant in (failing, waited):
            await harness.target.set_fault(tenant, "create")
        assert await harness.wait_done(job)
        assert await harness.wait_done(waiting)
        assert (await harness.wait_row(holder))["status"] == "completed"


async def test_no_job_is_moved_to_a_version_without_the_handler(harness: Harness) -> None:
    old = await harness.worker()
    tenant = harness.tenant()
    job = await start_backing_off_job(harness, tenant)
    async with serve_other_version(harness, "other"):
        code, text = await move_waiting(harness, job, old=old)

        assert code == 3, text
        assert "the latest version does not serve it" in last_line(text, job)
        await harness.target.set_fault(tenant, "create")
        assert await harness.wait_done(job)


async def test_a_url_that_is_no_old_version_is_refused_with_the_known_versions(
    harness: Harness,
) -> None:
    latest = await harness.worker()
    other = f"http://127.0.0.1:{free_port()}"

    code, text = await move(harness, old=latest)

    assert code == 2
    assert f"{url(latest)} is the latest version of {harness.service}" in text
    assert "worker_advertised_url" in text

    code, text = await latest.command("move", "--from", other)

    assert code == 2
    assert f"knows no version of {harness.service} at {other}" in text
    assert url(latest) in text


async def count_pinned(harness: Harness, old: Worker) -> int:
    """Count the open invocations that are pinned to a version."""
    (row,) = (
        deployment.id
        for deployment in await harness.admin.deployments()
        if deployment.uri.startswith(url(old))
    )
    rows = await harness.admin.query(
        "SELECT id FROM sys_invocation"
        f" WHERE pinned_deployment_id = '{row}' AND status <> 'completed'"
    )
    return len(rows)


@contextmanager
def silent_port(port: int) -> Iterator[None]:
    """Let connections to a port time out, as with a machine that is gone."""
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(0)
        for _ in range(4):
            filler = sockets.enter_context(socket.socket())
            filler.settimeout(0)
            with suppress(BlockingIOError):
                filler.connect(("127.0.0.1", port))
        yield


@asynccontextmanager
async def serve_other_version(harness: Harness, handler: str) -> AsyncIterator[None]:
    """Run other code as the latest version of the service."""
    service = Service(harness.service)

    @service.handler(handler, accept="*/*", input_serde=BytesSerde(), output_serde=BytesSerde())
    async def serve(ctx: Context, body: bytes) -> bytes:
        async def answer() -> str:
            return "acted"

        await ctx.run_typed("another step", answer)
        return body

    async with serve_services(harness, service):
        yield
