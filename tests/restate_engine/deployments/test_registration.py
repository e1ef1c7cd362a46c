"""Registrations with unusual responses of a Restate server; tests/e2e tests the usual ones."""

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
from landlord_engines_restate.deployments.manifest import DIGEST_KEY, Manifest, ServiceManifest
from landlord_engines_restate.deployments.registration import Registrar
from landlord_engines_restate.settings import Names

WORKER = "http://worker:9080"
DIGEST = "d1"

JOBS = ServiceManifest(
    name="Jobs",
    handlers=frozenset({"execute"}),
    options={
        "public": True,
        "execute.public": True,
        "abort_timeout": 600.0,
        "idempotency_retention": 7 * 86400.0,
        "journal_retention": 86400.0,
        "max_interval": 2.0,
        "max_attempts": 2_147_483_647,
        "on_max_attempts": "PAUSE",
    },
)
SERVICE: dict[str, Any] = {
    "name": "Jobs",
    "deployment_id": "dp_1",
    "revision": 3,
    "handlers": [{"name": "execute", "public": True}],
    "public": True,
    "metadata": {DIGEST_KEY: DIGEST},
    "abort_timeout": "10m",
    "idempotency_retention": "7d",
    "journal_retention": "1d",
    "retry_policy": {
        "max_interval": "2s",
        "max_attempts": 2_147_483_647,
        "on_max_attempts": "Pause",
    },
}


def service_read_by(digest: str, **options: object) -> dict[str, Any]:
    """Build the service as Restate shows it after a discovery of the version with this digest."""
    return {**SERVICE, "metadata": {DIGEST_KEY: digest}, **options}


@attrs.define
class AdminApi:
    """The admin API of a simulated restate-server, with answers that a test sets.

    Attributes:
        claim: The digest in the deployment's metadata; ``None`` if the server has no deployment.
        services: The services of the deployment.
        latest: The latest revision, if it belongs to another deployment or to none.
        answers: The manifests of the workers that the next discoveries reach; the last one is repeated.
    """

    claim: str | None = None
    services: list[dict[str, Any]] = attrs.field(factory=list)
    latest: dict[str, Any] | None = None
    answers: list[dict[str, Any]] = attrs.field(factory=lambda: [SERVICE])
    refusal: dict[str, str] | None = None
    sent: list[dict[str, Any]] = attrs.field(factory=list)
    forgets: bool = False

    def set_service(self, claim: str = DIGEST, *services: dict[str, Any]) -> None:
        self.claim, self.services = claim, list(services or [SERVICE])

    def register(self, request: Request) -> Response:
        document = json.loads(request.data)
        if self.refusal is not None:
            return Response(json.dumps(self.refusal), status=500)
        if document["dry_run"] and not document["force"]:
            return Response(json.dumps({"id": "dp_1"}))
        self.sent.append(document)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not document["dry_run"] and not self.forgets:
            self.set_service(document["metadata"][DIGEST_KEY], answer)
        return Response(json.dumps({"id": "dp_1", "services": [answer]}), status=201)

    def deployment(self) -> Response:
        if self.claim is None:
            return Response('{"message": "not found"}', status=404)
        metadata = {DIGEST_KEY: self.claim} if self.claim else {}
        document = {"id": "dp_1", "metadata": metadata, "services": self.services}
        return Response(json.dumps(document))

    def service(self) -> Response:
        latest = self.latest if self.latest is not None else next(iter(self.services), None)
        if not latest:
            return Response('{"message": "not found"}', status=404)
        return Response(json.dumps(latest))

    def forced_registrations(self) -> list[bool]:
        """Return for each registration, except dry runs, whether it was forced."""
        return [document["force"] for document in self.sent if not document["dry_run"]]


@pytest.fixture
def admin_api(httpserver: HTTPServer) -> AdminApi:
    server = AdminApi()
    httpserver.expect_request("/version").respond_with_json({"version": "1.7.12"})
    httpserver.expect_request("/deployments", method="POST").respond_with_handler(server.register)
    httpserver.expect_request("/deployments/dp_1").respond_with_handler(
        lambda _: server.deployment()
    )
    httpserver.expect_request("/services/Jobs").respond_with_handler(lambda _: server.service())
    httpserver.expect_request("/services/JobsTurn").respond_with_data("no", status=404)
    return server


def build_registrar(admin: AdminClient) -> Registrar:
    return Registrar(
        admin=admin,
        names=Names(service="Jobs", unprefixed_service="Jobs"),
        uri=WORKER,
        manifest=Manifest(digest=DIGEST, services=(JOBS,)),
        on_startup=True,
        logger=structlog.get_logger(),
    )


@pytest_asyncio.fixture
async def registrar(httpserver: HTTPServer) -> AsyncIterator[Registrar]:
    admin = AdminClient(httpserver.url_for(""))
    yield build_registrar(admin)
    await admin.aclose()


async def test_an_unknown_worker_is_registered_without_force(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    registration = await registrar.register()

    assert registration.state is RegistrationState.REGISTERED
    assert registration.detail == f"{WORKER} is deployment dp_1, revision 3"
    (sent,) = admin_api.sent
    assert (sent["force"], sent["dry_run"], sent["use_http_11"]) == (False, False, True)
    assert sent["metadata"] == {DIGEST_KEY: DIGEST}


async def test_a_known_worker_whose_manifest_was_read_sends_nothing(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.set_service()

    registration = await registrar.register()

    assert registration.state is RegistrationState.REGISTERED
    assert admin_api.sent == []


@pytest.mark.parametrize("claim", ["d0", ""])
async def test_a_url_that_another_version_or_none_claims_is_claimed_by_force_at_the_start(
    admin_api: AdminApi, registrar: Registrar, claim: str
) -> None:
    admin_api.set_service(claim, service_read_by("d0"))

    assert (await registrar.register()).state is RegistrationState.REGISTERED

    assert admin_api.forced_registrations() == [True]


async def test_where_another_version_answers_the_worker_is_outdated_and_has_claimed_the_url(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.set_service("d0", service_read_by("d0"))
    admin_api.answers = [service_read_by("d0", abort_timeout="5m")]

    registration = await registrar.register()

    assert registration.state is RegistrationState.OUTDATED
    assert "another version of this worker answered" in registration.detail
    assert admin_api.claim == DIGEST
    assert await registrar.read_registration() == registration


async def test_a_digest_that_is_claimed_and_was_never_read_is_not_registered(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.set_service(DIGEST, {**SERVICE, "metadata": {}})

    assert (await registrar.read_registration()).state is RegistrationState.OUTDATED


async def test_an_outdated_worker_forces_nothing_while_another_version_would_answer(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.set_service(DIGEST, service_read_by("d0"))
    admin_api.answers = [service_read_by("d0")]

    assert (await registrar.register()).state is RegistrationState.OUTDATED

    assert admin_api.forced_registrations() == []


async def test_an_outdated_worker_is_registered_once_this_version_answers(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.set_service(DIGEST, service_read_by("d0"))
    admin_api.answers = [SERVICE, service_read_by("d0"), SERVICE]

    states = [(await registrar.register()).state for _ in range(2)]

    # The dry run reached this version and the registration another one, so the next check is right.
    assert states == [RegistrationState.OUTDATED, RegistrationState.REGISTERED]
    assert admin_api.forced_registrations() == [True, True]


async def test_an_outdated_worker_takes_no_new_jobs_from_the_latest(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.set_service(DIGEST, service_read_by("d0"))
    admin_api.latest = {**SERVICE, "deployment_id": "dp_2"}

    assert (await registrar.register()).state is RegistrationState.NOT_LATEST

    assert admin_api.sent == []


async def test_an_outdated_worker_without_a_handler_that_was_read_there_is_refused(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.set_service(
        DIGEST, service_read_by("d0", handlers=[{"name": "execute"}, {"name": "old"}])
    )

    with pytest.raises(RegistrationRefused, match="old"):
        await registrar.register()

    assert admin_api.sent == []


async def test_a_claim_of_a_version_that_registered_later_is_left_alone(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.set_service()
    await registrar.register()
    admin_api.set_service("d2", service_read_by("d2"))

    registration = await registrar.register()

    assert registration.state is RegistrationState.NOT_LATEST
    assert "claimed by another version" in registration.detail
    assert admin_api.sent == []


async def test_removed_handlers_are_named_and_nothing_is_sent(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    handlers = [{"name": "execute"}, {"name": "old"}]
    admin_api.set_service(
        "d0", service_read_by("d0", handlers=handlers), {**SERVICE, "name": "Former"}
    )

    for attempt in (registrar.register, registrar.dry_run, registrar.make_latest):
        with pytest.raises(RegistrationRefused, match=r"handlers of Jobs .*: old") as caught:
            await attempt()
        assert "another worker_advertised_url" in caught.value.hint
        assert "remove the old deployment" in caught.value.hint
    assert admin_api.sent == []


DIFFERENT = [
    ("abort_timeout", "5m"),
    ("idempotency_retention", "1d"),
    ("journal_retention", None),
    ("max_interval", "1m"),
    ("max_attempts", 70),
    ("on_max_attempts", "Kill"),
    ("public", False),
    ("execute.public", False),
]


@pytest.mark.parametrize(("key", "value"), DIFFERENT)
async def test_an_option_that_restate_did_not_apply_is_named(
    admin_api: AdminApi, registrar: Registrar, key: str, value: object
) -> None:
    policy = {**SERVICE["retry_policy"], key: value}
    handlers = [{"name": "execute", "public": value}]
    changed: dict[str, object] = {key: value}
    if "max_" in key:
        changed = {"retry_policy": policy}
    if "." in key:
        changed = {"handlers": handlers}
    admin_api.answers = [service_read_by(DIGEST, **changed)]

    with pytest.raises(RegistrationRefused) as caught:
        await registrar.register()

    assert f"keeps {key} of Jobs as" in caught.value.message
    assert f"although {JOBS.options[key]} was sent" in caught.value.message
    assert "--make-latest" in caught.value.hint
    registration = await registrar.read_registration()
    assert (registration.state, registration.detail) == (
        RegistrationState.REFUSED,
        caught.value.message,
    )
    with pytest.raises(RegistrationRefused):
        await registrar.dry_run()
    assert admin_api.forced_registrations() == [False]


@pytest.mark.parametrize(("sent", "kept"), [(4.567, "4s 567ms"), (5.000001, "5s")])
async def test_an_option_that_differs_by_less_than_restate_keeps_is_the_same(
    admin_api: AdminApi, registrar: Registrar, sent: float, kept: str
) -> None:
    admin_api.answers = [service_read_by(DIGEST, abort_timeout=kept)]
    jobs = attrs.evolve(JOBS, options={**JOBS.options, "abort_timeout": sent})
    manifest = Manifest(digest=DIGEST, services=(jobs,))

    registration = await attrs.evolve(registrar, manifest=manifest).register()

    assert registration.state is RegistrationState.REGISTERED


async def test_options_of_another_latest_deployment_are_not_checked(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.set_service()
    admin_api.latest = {**SERVICE, "deployment_id": "dp_2", "abort_timeout": "1s"}

    registration = await registrar.register()

    assert registration.state is RegistrationState.NOT_LATEST
    assert "new jobs go to dp_2" in registration.detail
    assert "landlord-host register --make-latest" in registration.detail


async def test_a_deployment_without_the_service_is_not_the_latest(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.set_service()
    admin_api.latest = {}

    registration = await registrar.register()

    assert registration.state is RegistrationState.NOT_LATEST
    assert "new jobs go to none" in registration.detail


async def test_a_registration_that_the_server_forgets_at_once_is_retried(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.forgets = True

    with pytest.raises(RegistrationFailed, match="does not show"):
        await registrar.register()


async def test_an_error_for_an_unreachable_worker_has_hints(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.refusal = {"message": "[META0003] connection refused", "restate_code": "META0003"}

    for attempt in (registrar.register, registrar.dry_run, registrar.make_latest):
        with pytest.raises(RegistrationFailed, match="META0003") as caught:
            await attempt()
        assert "worker_advertised_url" in caught.value.hint
        assert WORKER in caught.value.hint


@pytest.mark.parametrize("known", [False, True])
async def test_make_latest_registers_with_any_digest(
    admin_api: AdminApi, registrar: Registrar, *, known: bool
) -> None:
    if known:
        admin_api.set_service()

    assert (await registrar.make_latest()).state is RegistrationState.REGISTERED

    assert admin_api.forced_registrations() == [known]


async def test_a_dry_run_reports_that_the_worker_would_be_added(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    registration = await registrar.dry_run()

    assert f"would add the deployment {WORKER}" in registration.detail
    assert admin_api.sent == []


@pytest.mark.parametrize(
    ("claim", "state"),
    [("d0", RegistrationState.NOT_LATEST), (DIGEST, RegistrationState.OUTDATED)],
)
async def test_a_dry_run_reports_the_update_and_its_reason(
    admin_api: AdminApi, registrar: Registrar, claim: str, state: RegistrationState
) -> None:
    admin_api.set_service(claim, service_read_by("d0"))

    registration = await registrar.dry_run()

    assert registration.state is state
    assert f"would update the deployment {WORKER}" in registration.detail
    assert "another version" in registration.detail
    assert admin_api.forced_registrations() == []


async def test_a_dry_run_of_a_registered_worker_only_reads(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.set_service()

    assert (await registrar.dry_run()).state is RegistrationState.REGISTERED
    assert admin_api.sent == []


async def test_a_worker_without_registration_only_reads(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    registration = await attrs.evolve(registrar, on_startup=False).register()

    assert registration.state is RegistrationState.UNREGISTERED
    assert WORKER in registration.detail
    assert admin_api.sent == []


async def test_a_worker_unknown_to_and_unreachable_from_restate_is_unregistered(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.refusal = {"message": "[META0003] connection refused", "restate_code": "META0003"}

    assert (await registrar.read_registration()).state is RegistrationState.UNREGISTERED


async def test_without_an_admin_api_a_check_returns_unknown_and_a_registration_fails() -> None:
    admin = AdminClient("http://127.0.0.1:9")
    registrar = build_registrar(admin)

    assert (await registrar.read_registration()).state is RegistrationState.UNKNOWN
    for attempt in (registrar.register, registrar.dry_run, registrar.make_latest):
        with pytest.raises(RegistrationFailed) as caught:
            await attempt()
        assert "workflow.restate.admin_endpoint" in caught.value.hint
    await admin.aclose()


async def test_an_admin_api_that_requires_a_key_makes_the_state_unknown(
    httpserver: HTTPServer, registrar: Registrar
) -> None:
    httpserver.expect_request("/deployments").respond_with_json({"message": "who?"}, status=401)

    registration = await registrar.read_registration()

    assert registration.state is RegistrationState.UNKNOWN
    assert "who?" in registration.detail


async def test_the_deployment_of_this_worker_is_remembered(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.set_service()

    await registrar.read_registration()

    assert "Jobs" in registrar.known


@pytest.mark.parametrize("known", [False, True])
async def test_a_known_deployment_is_read_by_its_id(
    admin_api: AdminApi, registrar: Registrar, httpserver: HTTPServer, *, known: bool
) -> None:
    if known:
        admin_api.set_service()
    await registrar.register()
    httpserver.clear_log()

    assert (await registrar.read_registration()).state is RegistrationState.REGISTERED

    assert [request.path for request, _ in httpserver.log] == [
        "/deployments/dp_1",
        "/services/Jobs",
    ]


async def test_a_removed_deployment_is_unregistered(
    admin_api: AdminApi, registrar: Registrar
) -> None:
    admin_api.set_service()
    await registrar.read_registration()
    admin_api.claim = None

    assert (await registrar.read_registration()).state is RegistrationState.UNREGISTERED
