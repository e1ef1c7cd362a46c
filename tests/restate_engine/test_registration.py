"""What a worker makes of a Restate server's odd answers; tests/e2e has the usual ones."""

import json
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import pytest_asyncio
import structlog
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_engines_core.engine import RegistrationState
from landlord_engines_core.errors import RegistrationFailed, RegistrationRefused
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.registration import DIGEST_KEY, Expected, Registrar, seconds

WORKER = "http://worker:9080"
DIGEST = "d1"

JOBS = Expected(
    name="Jobs",
    handlers=frozenset({"execute"}),
    abort_timeout=600.0,
    idempotency_retention=7 * 86400.0,
    journal_retention=86400.0,
    max_interval=2.0,
    max_attempts=2_147_483_647,
)
SERVICE: dict[str, Any] = {
    "name": "Jobs",
    "deployment_id": "dp_1",
    "revision": 3,
    "handlers": [{"name": "execute"}],
    "abort_timeout": "10m",
    "idempotency_retention": "7d",
    "journal_retention": "1d",
    "retry_policy": {"max_interval": "2s", "max_attempts": 2_147_483_647},
}


@attrs.define
class Restate:
    """A server's admin API: what it shows, and what it was sent."""

    deployments: list[dict[str, Any]] = attrs.field(factory=list)
    service: dict[str, Any] = attrs.field(factory=SERVICE.copy)
    deployed: list[dict[str, Any]] = attrs.field(factory=list)
    refusal: dict[str, str] | None = None
    sent: list[dict[str, Any]] = attrs.field(factory=list)
    forgets: bool = False

    def knows(self, digest: str | None = DIGEST, uri: str = f"{WORKER}/") -> None:
        metadata = {} if digest is None else {DIGEST_KEY: digest}
        self.deployments = [{"id": "dp_1", "uri": uri, "metadata": metadata}]
        self.deployed = [self.service]

    def register(self, request: Request) -> Response:
        document = json.loads(request.data)
        self.sent.append(document)
        if self.refusal is not None:
            return Response(json.dumps(self.refusal), status=500)
        if not document["dry_run"] and not self.forgets:
            self.knows(document["metadata"][DIGEST_KEY])
        return Response(json.dumps({"id": "dp_1"}), status=201)


@pytest.fixture
def restate(httpserver: HTTPServer) -> Restate:
    server = Restate()

    def shows(value: Any) -> Response:
        return Response(json.dumps(value))

    httpserver.expect_request("/deployments", method="GET").respond_with_handler(
        lambda _: shows({"deployments": server.deployments})
    )
    httpserver.expect_request("/deployments", method="POST").respond_with_handler(server.register)
    httpserver.expect_request("/deployments/dp_1").respond_with_handler(
        lambda _: shows({"services": server.deployed})
    )
    httpserver.expect_request("/services/Jobs").respond_with_handler(
        lambda _: (
            shows(server.service)
            if server.service
            else Response('{"message": "not found"}', status=404)
        )
    )
    return server


@pytest_asyncio.fixture
async def registrar(httpserver: HTTPServer) -> AsyncIterator[Registrar]:
    admin = AdminClient(httpserver.url_for(""))
    yield Registrar(
        admin=admin,
        uri=WORKER,
        digest=DIGEST,
        services=(JOBS,),
        on_startup=True,
        logger=structlog.get_logger(),
    )
    await admin.aclose()


async def test_an_unknown_worker_is_registered_without_force(
    restate: Restate, registrar: Registrar
) -> None:
    registration = await registrar.register()

    assert registration.state is RegistrationState.YES
    assert registration.detail == f"{WORKER} is deployment dp_1, revision 3"
    (sent,) = restate.sent
    assert (sent["force"], sent["dry_run"], sent["use_http_11"]) == (False, False, True)
    assert sent["metadata"] == {DIGEST_KEY: DIGEST}


@pytest.mark.parametrize("uri", [WORKER, f"{WORKER}/", "HTTP://worker:9080", f"{WORKER}#here"])
async def test_a_known_worker_with_the_same_digest_sends_nothing(
    restate: Restate, registrar: Registrar, uri: str
) -> None:
    restate.knows()

    registration = await attrs.evolve(registrar, uri=uri).register()

    assert registration.state is RegistrationState.YES
    assert restate.sent == []


@pytest.mark.parametrize("digest", ["d0", None])
async def test_a_known_worker_with_another_digest_or_none_is_updated_by_force(
    restate: Restate, registrar: Registrar, digest: str | None
) -> None:
    restate.knows(digest)

    assert (await registrar.register()).state is RegistrationState.YES

    (sent,) = restate.sent
    assert sent["force"] is True


async def test_handlers_that_went_are_named_and_nothing_is_sent(
    restate: Restate, registrar: Registrar
) -> None:
    restate.knows("d0")
    restate.deployed = [
        {**SERVICE, "handlers": [{"name": "execute"}, {"name": "old"}]},
        {**SERVICE, "name": "Former"},
    ]

    for attempt in (registrar.register, registrar.dry_run, registrar.make_latest):
        with pytest.raises(RegistrationRefused, match=r"handlers of Jobs .*: old") as caught:
            await attempt()
        assert "another worker_advertised_url" in caught.value.hint
        assert "remove the old deployment" in caught.value.hint
    assert restate.sent == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("abort_timeout", "5m"),
        ("idempotency_retention", "1d"),
        ("journal_retention", None),
        ("max_interval", "1m"),
        ("max_attempts", 70),
    ],
)
async def test_an_option_that_did_not_take_is_refused_by_name(
    restate: Restate, registrar: Registrar, key: str, value: object
) -> None:
    if key.startswith("max_"):
        restate.service["retry_policy"] = {**SERVICE["retry_policy"], key: value}
    else:
        restate.service[key] = value

    with pytest.raises(RegistrationRefused) as caught:
        await registrar.register()

    wanted = getattr(JOBS, key)
    assert f"keeps {key} of Jobs as" in caught.value.message
    assert f"where {wanted} was sent" in caught.value.message


@pytest.mark.parametrize(("sent", "kept"), [(4.567, "4s 567ms"), (5.000001, "5s")])
async def test_an_option_that_differs_by_less_than_restate_keeps_is_the_same(
    restate: Restate, registrar: Registrar, sent: float, kept: str
) -> None:
    restate.service["abort_timeout"] = kept
    services = (attrs.evolve(JOBS, abort_timeout=sent),)

    registration = await attrs.evolve(registrar, services=services).register()

    assert registration.state is RegistrationState.YES


async def test_where_another_deployment_is_the_latest_its_options_are_not_ours_to_judge(
    restate: Restate, registrar: Registrar
) -> None:
    restate.knows()
    restate.service = {**SERVICE, "deployment_id": "dp_2", "abort_timeout": "1s"}

    registration = await registrar.register()

    assert registration.state is RegistrationState.NOT_LATEST
    assert "new jobs go to dp_2" in registration.detail
    assert "landlord-host register --make-latest" in registration.detail


async def test_a_deployment_whose_service_is_gone_is_not_the_latest(
    restate: Restate, registrar: Registrar
) -> None:
    restate.knows()
    restate.service = {}

    registration = await registrar.register()

    assert registration.state is RegistrationState.NOT_LATEST
    assert "new jobs go to none" in registration.detail


async def test_a_server_that_forgets_at_once_is_worth_another_try(
    restate: Restate, registrar: Registrar
) -> None:
    restate.forgets = True

    with pytest.raises(RegistrationFailed, match="forgotten"):
        await registrar.register()


async def test_a_worker_that_restate_does_not_reach_is_told_where_to_look(
    restate: Restate, registrar: Registrar
) -> None:
    restate.refusal = {"message": "[META0003] connection refused", "restate_code": "META0003"}

    for attempt in (registrar.register, registrar.dry_run, registrar.make_latest):
        with pytest.raises(RegistrationFailed, match="META0003") as caught:
            await attempt()
        assert "worker_advertised_url" in caught.value.hint
        assert WORKER in caught.value.hint


async def test_make_latest_sends_by_force_whatever_the_digest(
    restate: Restate, registrar: Registrar
) -> None:
    restate.knows()

    assert (await registrar.make_latest()).state is RegistrationState.YES

    (sent,) = restate.sent
    assert sent["force"] is True


@pytest.mark.parametrize(("known", "deed"), [(False, "add"), (True, "update")])
async def test_a_dry_run_says_what_would_be_done(
    restate: Restate, registrar: Registrar, *, known: bool, deed: str
) -> None:
    if known:
        restate.knows("d0")

    registration = await registrar.dry_run()

    assert f"would {deed} the deployment {WORKER}" in registration.detail
    (sent,) = restate.sent
    assert (sent["dry_run"], sent["force"]) == (True, known)


async def test_a_dry_run_of_what_is_registered_only_looks(
    restate: Restate, registrar: Registrar
) -> None:
    restate.knows()

    assert (await registrar.dry_run()).state is RegistrationState.YES
    assert restate.sent == []


async def test_a_worker_that_is_not_to_register_only_looks(
    restate: Restate, registrar: Registrar
) -> None:
    registration = await attrs.evolve(registrar, on_startup=False).register()

    assert registration.state is RegistrationState.GONE
    assert WORKER in registration.detail
    assert restate.sent == []


async def test_a_worker_of_another_version_than_is_registered_there_is_not_the_latest(
    registrar: Registrar, restate: Restate
) -> None:
    restate.knows(digest="another")

    found = await registrar.look()

    assert found.state is RegistrationState.NOT_LATEST
    assert "as another version of this worker" in found.detail


async def test_without_an_admin_api_looking_says_unknown_and_acting_fails() -> None:
    admin = AdminClient("http://127.0.0.1:9")
    registrar = Registrar(
        admin=admin,
        uri=WORKER,
        digest=DIGEST,
        services=(JOBS,),
        on_startup=True,
        logger=structlog.get_logger(),
    )

    assert (await registrar.look()).state is RegistrationState.UNKNOWN
    for attempt in (registrar.register, registrar.dry_run, registrar.make_latest):
        with pytest.raises(RegistrationFailed) as caught:
            await attempt()
        assert "workflow.restate.admin_endpoint" in caught.value.hint
    await admin.aclose()


async def test_an_admin_api_that_wants_a_key_makes_the_state_unknown(
    httpserver: HTTPServer, registrar: Registrar
) -> None:
    httpserver.expect_request("/deployments").respond_with_json({"message": "who?"}, status=401)

    registration = await registrar.look()

    assert registration.state is RegistrationState.UNKNOWN
    assert "who?" in registration.detail


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("0s", 0),
        ("999ms", 0.999),
        ("1s 500ms", 1.5),
        ("10m", 600),
        ("1h 30m", 5400),
        ("7d", 604800),
        ("400d 3h 5s", 34570805),
    ],
)
def test_times_are_read_as_restate_1_7_writes_them(
    text: str | None, expected: float | None
) -> None:
    assert seconds(text) == expected
