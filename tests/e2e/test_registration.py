"""The worker registers itself, watches its registration, and registers again after a loss."""

import shutil
import signal

from landlord_engines_core.engine import RegistrationState
from landlord_test_target.harness import Harness, Worker, free_port


async def test_start_without_an_admin_api_is_tried_again_with_growing_jittered_pauses(
    dedicated_harness: Harness,
) -> None:
    await dedicated_harness.restate.stop()
    worker = await dedicated_harness.launch(dedicated_harness.config())

    tries = await worker.wait_logged("not registered yet", 4)
    await dedicated_harness.restate.start()
    await worker.wait_registered()

    assert [line["attempt"] for line in tries[:4]] == [1, 2, 3, 4]
    pauses = [line["next_attempt_in"] for line in tries[:4]]
    assert len(set(pauses)) == 4
    assert all(pause <= 0.5 * 2**number for number, pause in enumerate(pauses))
    assert dedicated_harness.restate.admin_endpoint in tries[0]["reason"]
    assert "workflow.restate.admin_endpoint" in tries[0]["reason"]


async def test_fail_fast_ends_with_4_in_time(dedicated_harness: Harness) -> None:
    await dedicated_harness.restate.stop()
    config = dedicated_harness.config(register_timeout="1s")

    worker = await dedicated_harness.launch(config, "--fail-fast")

    assert await worker.wait_ended(20) == 4
    assert "LE311" in worker.log_text()
    assert "Traceback" not in worker.log_text()


async def test_a_server_outage_is_noticed_and_the_worker_registers_again_after_it(
    dedicated_harness: Harness,
) -> None:
    worker = await dedicated_harness.worker()

    await dedicated_harness.restate.stop()
    await worker.wait_logged("registration changed", state="unknown")
    await dedicated_harness.restate.start()

    await worker.wait_logged("registration changed", 2, state="registered")


async def test_a_frozen_server_is_detected_and_work_continues_after_it(
    dedicated_harness: Harness,
) -> None:
    worker, tenant = await dedicated_harness.worker(), dedicated_harness.tenant()
    await dedicated_harness.target.set_fault(tenant, "create", hold=1)
    job = await dedicated_harness.send(tenant, "provision", version=1)
    await dedicated_harness.target.wait_called(tenant, "create")

    server = dedicated_harness.restate._process
    assert server is not None
    server.send_signal(signal.SIGSTOP)
    try:
        # The server's connections stay open, but get no answer.
        await worker.wait_logged("registration changed", state="unknown")
        await dedicated_harness.target.set_fault(tenant, "create")
    finally:
        server.send_signal(signal.SIGCONT)

    await worker.wait_logged("registration changed", 2, state="registered")
    assert (await dedicated_harness.wait_done(job))["output"]["status"] == "created"
    assert len(await dedicated_harness.target.resources(tenant)) == 1


async def test_a_server_that_was_wiped_gets_the_worker_registered_again(
    dedicated_harness: Harness,
) -> None:
    worker = await dedicated_harness.worker()

    await dedicated_harness.restate.kill()
    shutil.rmtree(dedicated_harness.restate.folder)
    await dedicated_harness.restate.start()

    await worker.wait_logged("registration changed", state="unregistered")
    await worker.wait_logged("registration changed", 2, state="registered")
    assert (
        await dedicated_harness.run(dedicated_harness.tenant(), "provision", version=1) == "created"
    )


async def test_a_worker_whose_options_changed_updates_its_deployment(harness: Harness) -> None:
    first = await harness.worker()
    await first.terminate()
    changed = {**first.config["worker"], "step_timeout": "2m"}
    config = {**first.config, "worker": changed}

    second = await (await harness.launch(config)).wait_registered()

    assert "revision 2" in (await second.wait_logged("registration changed"))[0]["detail"]
    service = await harness.admin.service(harness.service)
    assert service is not None
    assert service.abort_timeout == "4m 10s"


async def test_the_same_worker_registers_once(harness: Harness) -> None:
    first = await harness.worker()
    await first.terminate()

    second = await harness.restart(first)

    assert not [
        line for line in second.log_lines() if line["message"] == "registration sent to Restate"
    ]
    assert "revision 1" in (await second.wait_logged("registration changed"))[0]["detail"]


async def test_a_worker_is_found_again_however_the_host_of_its_url_is_spelled(
    harness: Harness,
) -> None:
    port = free_port()
    config = harness.config(port=port)
    config["workflow"]["restate"]["worker_advertised_url"] = f"http://localhost:{port}"
    first = await (await harness.launch(config)).wait_registered()
    await first.terminate()
    config["workflow"]["restate"]["worker_advertised_url"] = f"HTTP://LocalHost:{port}/#worker"

    second = await (await harness.launch(config)).wait_registered()

    sent = [
        line for line in second.log_lines() if line["message"] == "registration sent to Restate"
    ]
    assert not sent


async def test_an_operators_change_is_shown_and_undone_by_make_latest(harness: Harness) -> None:
    worker = await harness.worker()
    url = f"{harness.restate.admin_endpoint}/services/{harness.service}"

    async with harness.http.patch(url, json={"abort_timeout": "3m"}) as response:
        assert response.status == 200

    (line, *_) = await worker.wait_logged(
        "registration changed", state=RegistrationState.REFUSED.value
    )
    assert (
        f"keeps abort_timeout of {harness.service} as 180.0 although 610.0 was sent"
        in line["detail"]
    )
    code, text = await worker.command("check")
    assert (code, "--make-latest" in text) == (4, True), text
    code, text = await worker.command("register", "--make-latest")
    assert code == 0, text
    await worker.wait_logged("registration changed", 2, state=RegistrationState.REGISTERED.value)


async def test_a_worker_with_removed_handlers_is_refused_with_both_remedies(
    harness: Harness,
) -> None:
    port = free_port()
    first = await harness.launch(harness.config(port=port))
    await first.wait_registered()
    await first.terminate()
    config = harness.config(port=port)
    config["workflow"]["restate"]["service_name"] = f"{harness.service}x"

    second = await harness.launch(config, "--fail-fast")

    assert await second.wait_ended() == 4
    assert "LE312" in second.log_text()
    assert "another worker_advertised_url" in second.log_text()
    assert "remove the old deployment" in second.log_text()


async def test_without_fail_fast_a_refused_registration_is_logged_and_the_worker_serves_on(
    harness: Harness,
) -> None:
    port = free_port()
    first = await (await harness.launch(harness.config(port=port))).wait_registered()
    await first.terminate()
    config = harness.config(port=port)
    config["workflow"]["restate"]["service_name"] = f"{harness.service}y"

    second = await harness.launch(config)

    await second.wait_logged("registration refused")
    assert await second.terminate() == 0


async def test_a_second_worker_is_the_latest_until_the_first_is_made_so(harness: Harness) -> None:
    first = await harness.worker()
    await harness.worker()
    await first.wait_logged("registration changed", state="not-latest")

    code, text = await first.command("register", "--make-latest")

    assert (code, text.split(":")[0]) == (0, "registered")
    await first.wait_logged("registration changed", 2, state="registered")


async def test_check_dry_runs_the_registration_and_changes_nothing(harness: Harness) -> None:
    before = {deployment.id for deployment in await harness.admin.deployments()}
    worker = Worker(config=harness.config(), folder=harness.folder)

    code, text = await worker.command("check")

    assert code == 0, text
    assert "[error" not in text, "what succeeds logs no error"
    assert '"level": "error"' not in text
    assert "settings: valid" in text
    assert "a registration would add the deployment" in text
    assert await harness.admin.service(harness.service) is None
    assert {deployment.id for deployment in await harness.admin.deployments()} >= before


async def test_check_of_a_registered_worker_that_runs_says_so(harness: Harness) -> None:
    worker = await harness.worker()

    code, text = await worker.command("check")

    assert code == 0, text
    assert "revision 1" in text


async def test_a_worker_that_restate_cannot_reach_gets_hints(harness: Harness) -> None:
    config = harness.config()
    config["workflow"]["restate"]["worker_advertised_url"] = f"http://127.0.0.1:{free_port()}"

    worker = await harness.launch(config)

    (line, *_) = await worker.wait_logged("not registered yet")
    assert "META0003" in line["reason"]
    assert "worker_advertised_url" in line["reason"]


async def test_a_prefix_is_part_of_every_name_and_logged_as_a_warning(harness: Harness) -> None:
    config = harness.config()
    config["workflow"]["restate"]["worker_service_prefix"] = "blue"

    worker = await (await harness.launch(config)).wait_registered()

    (line,) = await worker.wait_logged(
        "Landlord calls the service without namespace and prefix, and will not find it"
    )
    assert line["serves"] == f"blue-{harness.service}"
    assert await harness.admin.service(f"blue-{harness.service}Tenant") is not None


async def test_an_address_that_is_taken_ends_with_3(harness: Harness) -> None:
    first = await harness.worker()

    second = await harness.launch({**harness.config(), "workflow": first.config["workflow"]})

    assert await second.wait_ended() == 3
    assert "cannot listen" in second.log_text()
    assert "change workflow.restate.worker_address" in second.log_text()


async def test_a_worker_with_identity_keys_answers_no_request_without_their_signature(
    harness: Harness,
) -> None:
    config = harness.config()
    key = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"
    config["workflow"]["restate"]["identity_keys"] = [key]
    worker = await harness.launch(config)

    (line, *_) = await worker.wait_logged("not registered yet")
    address = config["workflow"]["restate"]["worker_address"]
    url = f"http://{address}/invoke/{harness.service}/execute"
    async with harness.http.post(url, data=harness.body("t", "provision", {})) as response:
        status = response.status

    assert status == 401
    assert "trusts the same identity keys" in line["reason"]
    assert await harness.admin.service(harness.service) is None
