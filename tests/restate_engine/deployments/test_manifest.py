import pytest
from restate.discovery import compute_discovery_json
from restate.endpoint import Endpoint

from landlord_engines_core.engine import EngineContext, HostInfo
from landlord_engines_restate.admin import AdminClient, Handler, RegisteredService, RetryPolicy
from landlord_engines_restate.admin.known_services import KnownServices
from landlord_engines_restate.deployments.manifest import (
    DIGEST_KEY,
    VERSION,
    build_manifest,
    read_seconds,
)
from landlord_engines_restate.jobs.services import build_services
from landlord_engines_restate.settings import Names
from landlord_test_target.in_memory import RecordingLogger, build_tenant_jobs


def endpoint(step_timeout: float = 300.0) -> Endpoint:
    context = EngineContext(
        settings=None,
        run_job=build_tenant_jobs().run,
        resync=build_tenant_jobs().resync,
        is_desired=build_tenant_jobs().is_desired,
        logger=RecordingLogger(),
        host=HostInfo(step_timeout=step_timeout),
    )
    admin = AdminClient("http://127.0.0.1:9")
    services = build_services(Names("Jobs", "Jobs"), context, admin, known=KnownServices())
    bound = Endpoint()  # type: ignore[no-untyped-call]  # the SDK leaves it so
    bound.bind(services.jobs, services.lock, services.resync)
    return bound


def test_a_manifest_names_each_service_with_its_handlers_and_every_option_that_is_set() -> None:
    manifest = build_manifest(endpoint())

    assert [service.name for service in manifest.services] == ["Jobs", "JobsTenant", "JobsResync"]
    service, lock, _ = manifest.services
    assert service.handlers == {"execute"}
    assert service.options == {
        "public": True,
        "execute.public": True,
        "abort_timeout": 600.0,
        "idempotency_retention": 7 * 86400.0,
        "journal_retention": 86400.0,
        "initial_interval": 0.1,
        "max_interval": 2.0,
        "exponentiation_factor": 2.0,
        "max_attempts": 2_147_483_647,
        "on_max_attempts": "PAUSE",
    }
    assert lock.options["acquire.public"] is False
    assert lock.options["history.public"] is True


def test_each_service_carries_the_digest_which_changes_with_any_option() -> None:
    bound = endpoint()

    manifest = build_manifest(bound)

    sent = compute_discovery_json(bound, VERSION, "request_response")
    assert sent.count(manifest.digest) == len(manifest.services)
    assert build_manifest(endpoint()).digest == manifest.digest
    assert build_manifest(endpoint(step_timeout=299.0)).digest != manifest.digest


def test_only_services_that_all_carry_the_digest_were_read_of_this_manifest() -> None:
    manifest = build_manifest(endpoint())
    registered = tuple(
        RegisteredService(
            name=service.name,
            deployment_id="dp_1",
            revision=1,
            metadata={DIGEST_KEY: manifest.digest},
        )
        for service in manifest.services
    )

    assert manifest.was_read_for(registered)
    assert not manifest.was_read_for(registered[1:])
    assert not manifest.was_read_for(())


def test_a_handler_that_restate_does_not_show_is_a_difference() -> None:
    service = build_manifest(endpoint()).services[0]
    registered = RegisteredService(
        name="Jobs",
        deployment_id="dp_1",
        revision=1,
        handlers=(Handler(name="other"),),
        abort_timeout="10m",
        idempotency_retention="7d",
        journal_retention="1d",
        retry_policy=RetryPolicy(
            initial_interval="100ms",
            exponentiation_factor=2.0,
            max_interval="2s",
            max_attempts=2_147_483_647,
            on_max_attempts="Pause",
        ),
    )

    (difference,) = service.differences(registered)

    assert difference == "execute.public of Jobs as None although True was sent"


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
    assert read_seconds(text) == expected
