"""A worker with identity keys answers Restate's requests and refuses all others."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import attrs
import pytest
import pytest_asyncio

from landlord_engines_restate.local.binary import server_binary
from landlord_test_target.harness import Harness, Target, Worker
from landlord_test_target.signing import Key, SigningServer

KEY = Key()
OTHER = Key()

Forge = Callable[[str], dict[str, str]]


@attrs.frozen(kw_only=True)
class SigningSetup:
    """A worker that trusts one key, on a restate-server that signs with it."""

    harness: Harness
    worker: Worker

    @property
    def execute(self) -> str:
        return f"/invoke/{self.harness.service}/execute"

    async def answer(self, path: str, headers: dict[str, str]) -> int:
        """Send a request to the worker directly, as anybody may who reaches its port."""
        address = self.worker.config["workflow"]["restate"]["worker_address"]
        url = f"http://{address}{path}"
        body = self.harness.body("t", "provision", {})
        async with self.harness.http.post(url, data=body, headers=headers) as response:
            return response.status


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def signing_setup(
    target_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SigningSetup]:
    folder: Path = tmp_path_factory.mktemp("signed")
    restate = SigningServer(binary=await server_binary(), folder=folder / "restate", key=KEY)
    await restate.start()
    async with aiohttp.ClientSession() as http:
        target = Target(url=target_url, http=http)
        harness = Harness(restate=restate, target=target, http=http, folder=folder)
        config = harness.config()
        config["workflow"]["restate"]["identity_keys"] = [KEY.public]
        worker = await (await harness.launch(config, "--log-level=debug")).wait_registered()
        yield SigningSetup(harness=harness, worker=worker)
        await harness.aclose()
    await restate.stop()


async def test_jobs_of_a_server_that_signs_are_done(signing_setup: SigningSetup) -> None:
    tenant = signing_setup.harness.tenant()

    outcomes = [
        await signing_setup.harness.run(tenant, operation, version=1)
        for operation in ("provision", "update", "delete")
    ]

    assert outcomes == ["created", "unchanged", "deleted"]
    assert "requests are not checked" not in signing_setup.worker.log_text()


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda _: {}, id="no signature"),
        pytest.param(lambda _: {"x-restate-signature-scheme": "unsigned"}, id="declared unsigned"),
        pytest.param(OTHER.headers, id="an unknown key"),
        pytest.param(lambda path: OTHER.headers(path, key_id=KEY.public), id="a key's name stolen"),
        pytest.param(lambda path: KEY.headers(path, since=-120), id="expired"),
        pytest.param(lambda path: KEY.headers(path, since=+120), id="not valid yet"),
        pytest.param(
            lambda path: KEY.headers(path.replace("execute", "other")), id="signed for another path"
        ),
        pytest.param(
            lambda path: {**KEY.headers(path), "x-restate-jwt-v1": "e30.e30."}, id="an empty token"
        ),
    ],
)
async def test_a_request_that_restate_did_not_sign_is_refused_and_runs_nothing(
    signing_setup: SigningSetup, forge: Forge
) -> None:
    status = await signing_setup.answer(signing_setup.execute, forge(signing_setup.execute))

    assert status == 401
    assert await signing_setup.harness.target.rows("t") == []


async def test_a_captured_signature_is_valid_for_no_other_path(signing_setup: SigningSetup) -> None:
    captured = KEY.headers(signing_setup.execute)
    lock = f"/invoke/{signing_setup.harness.service}Tenant"

    others = (f"{lock}/take", f"{lock}/end", f"{lock}/forget", "/discover")
    statuses = [await signing_setup.answer(path, captured) for path in others]

    assert statuses == [401] * len(others)


async def test_a_request_with_a_valid_signature_is_accepted(signing_setup: SigningSetup) -> None:
    """Show that the refusals above are not those of a worker that refuses everything."""
    status = await signing_setup.answer(signing_setup.execute, KEY.headers(signing_setup.execute))

    assert status not in (401, 404)


@pytest.mark.parametrize(
    ("path", "status"), [("/health", 200), ("/x/health", 200), ("/invoke/S/health", 401)]
)
async def test_the_sdks_health_needs_no_signature_and_runs_nothing(
    signing_setup: SigningSetup, path: str, status: int
) -> None:
    assert await signing_setup.answer(path, {}) == status
    assert await signing_setup.harness.target.rows("t") == []


async def test_a_server_that_signs_with_another_key_cannot_register_the_worker(
    signing_setup: SigningSetup,
) -> None:
    config = signing_setup.harness.config()
    config["workflow"]["restate"]["identity_keys"] = [OTHER.public]

    worker = await signing_setup.harness.launch(config)

    (line, *_) = await worker.wait_logged("not registered yet")
    assert "trusts the same identity keys" in line["reason"]


async def test_a_key_is_rotated_by_trusting_both_temporarily(signing_setup: SigningSetup) -> None:
    config = signing_setup.harness.config()
    restate = {**config["workflow"]["restate"], "service_name": "Rotated"}
    restate["identity_keys"] = [OTHER.public, KEY.public]

    worker = await signing_setup.harness.launch({**config, "workflow": {"restate": restate}})

    await worker.wait_registered()


async def test_an_invalid_key_ends_with_2_naming_its_setting(harness: Harness) -> None:
    config = harness.config()
    config["workflow"]["restate"]["identity_keys"] = ["-----BEGIN PRIVATE KEY-----"]

    worker = await harness.launch(config)

    assert await worker.wait_ended() == 2
    assert "workflow.restate.identity_keys[0]" in worker.log_text()
    assert "PRIVATE" not in worker.log_text()
