import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import attrs
import pytest
from botocore.exceptions import ProfileNotFound
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_engines_core.compute import ResourceState
from landlord_engines_core.compute.ecs.location import Location
from landlord_engines_core.compute.ecs.sessions import Clients
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_test_target.aws import REGION, Aws, Ecs
from landlord_test_target.compute_engines import ecs_engine

if TYPE_CHECKING:
    from types_aiobotocore_ecs import ECSClient

OTHER = "111122223333"
ROLE = f"arn:aws:iam::{OTHER}:role/tenants"
LOCATION = Location(region=REGION, cluster="one", service="t-*")


async def open_client(clients: Clients, location: Location) -> "ECSClient":
    async with clients.ecs(location) as client:
        return client


async def test_concurrent_requests_for_the_same_client_share_it(server: Aws) -> None:
    clients = Clients(endpoint_url=server.endpoint, external_ids={})

    first, second = await asyncio.gather(
        open_client(clients, LOCATION), open_client(clients, LOCATION)
    )
    elsewhere = await open_client(clients, attrs.evolve(LOCATION, region="us-east-1"))
    await clients.aclose()

    assert first is second
    assert elsewhere is not first


async def test_a_client_that_could_not_be_opened_is_opened_by_the_next(
    server: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    clients = Clients(endpoint_url=server.endpoint, external_ids={})
    with pytest.raises(ProfileNotFound):
        await open_client(clients, LOCATION)
    await asyncio.sleep(0)

    monkeypatch.delenv("AWS_PROFILE")
    again = Clients(endpoint_url=server.endpoint, external_ids={})
    client = await open_client(again, LOCATION)

    assert not clients._clients
    assert client.meta.region_name == REGION
    await clients.aclose()
    await again.aclose()


async def test_a_client_that_is_still_opening_is_closed_too(server: Aws) -> None:
    clients = Clients(endpoint_url=server.endpoint, external_ids={})
    opening = asyncio.create_task(open_client(clients, LOCATION))
    await asyncio.sleep(0)

    await clients.aclose()

    with pytest.raises(asyncio.CancelledError):
        await opening


async def test_a_client_cancelled_while_it_opens_affects_no_other(server: Aws) -> None:
    clients = Clients(endpoint_url=server.endpoint, external_ids={})
    opening = asyncio.create_task(open_client(clients, LOCATION))
    await asyncio.sleep(0)
    (access,) = clients._clients
    clients._close(access)

    again = await open_client(clients, LOCATION)

    with pytest.raises(asyncio.CancelledError):
        await opening
    assert await open_client(clients, LOCATION) is again
    await clients.aclose()


async def test_unused_clients_are_closed_and_opened_again_on_demand(
    ecs: Ecs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landlord_engines_core.compute.ecs.sessions.MAX_IDLE_CLIENTS", 2)
    clients = ecs.engine.clients
    roles = [attrs.evolve(LOCATION, role=f"{ROLE}-{number}") for number in range(5)]

    async with clients.ecs(LOCATION) as used:
        first = [await open_client(clients, role) for role in roles]
        again = await open_client(clients, LOCATION)
        kept = [access.role for access in clients._clients]
        await asyncio.gather(*clients._closing)
        answer = await used.list_clusters()

    assert again is used
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert kept == [roles[-2].role, roles[-1].role, ""]
    assert await open_client(clients, roles[-1]) is first[-1]
    assert await open_client(clients, roles[0]) is not first[0]
    await clients.aclose()


async def test_with_a_role_the_service_is_in_the_roles_account(ecs: Ecs) -> None:
    cluster = ecs.aws.cluster(account=OTHER)
    config = ecs.aws.config(
        cluster_arn=cluster,
        task_definition_arn=ecs.aws.task_definition(account=OTHER),
        assume_role={"role_arn": ROLE, "session_name": "acme"},
    )
    spec = ecs.spec(config)

    await ecs.engine.provision(spec)
    answer = await ecs.engine.inspect("one", spec.location)

    assert list(ecs.aws.services(cluster)) == ["landlord-tenant-one"]
    assert answer.state is ResourceState.HEALTHY
    assert "session=acme" in spec.location
    assert await ecs.engine.destroy("one", spec.location)


def sts(lifetime: timedelta) -> Response:
    expires = (datetime.now(UTC) + lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Response(
        "<AssumeRoleResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><AssumeRoleResult>"
        "<Credentials><AccessKeyId>assumed</AccessKeyId><SecretAccessKey>x</SecretAccessKey>"
        f"<SessionToken>y</SessionToken><Expiration>{expires}</Expiration></Credentials>"
        f"<AssumedRoleUser><Arn>arn:aws:sts::{OTHER}:assumed-role/tenants/x</Arn>"
        "<AssumedRoleId>x:y</AssumedRoleId></AssumedRoleUser>"
        "</AssumeRoleResult></AssumeRoleResponse>",
        content_type="text/xml",
    )


async def inspect_repeatedly(
    httpserver: HTTPServer, lifetime: timedelta, times: int
) -> list[Request]:
    """Inspect a tenant with a role this many times, and return the calls of STS."""

    def answer(request: Request) -> Response:
        if "X-Amz-Target" in request.headers:
            return Response('{"failures": [{"reason": "MISSING"}]}')
        return sts(lifetime)

    httpserver.expect_request("/", method="POST").respond_with_handler(answer)
    settings = {"endpoint_url": httpserver.url_for(""), "external_ids": {ROLE: "hush"}}
    engine = ecs_engine(settings)
    location = str(Location(region=REGION, cluster="one", service="t-*", role=ROLE))
    for _ in range(times):
        await engine.inspect("one", location)
    await engine.aclose()
    assert "hush" not in repr(engine)
    return [request for request, _ in httpserver.log if "X-Amz-Target" not in request.headers]


async def test_a_roles_credentials_are_kept_while_they_last(
    environment: None, httpserver: HTTPServer
) -> None:
    calls = await inspect_repeatedly(httpserver, timedelta(hours=1), 5)

    (call,) = calls
    request = {key: call.form[key] for key in ("RoleArn", "RoleSessionName", "ExternalId")}
    assert request == {
        "RoleArn": ROLE,
        "RoleSessionName": "landlord-engines",
        "ExternalId": "hush",
    }


async def test_the_credentials_of_a_role_are_renewed_before_they_expire(
    environment: None, httpserver: HTTPServer
) -> None:
    calls = await inspect_repeatedly(httpserver, timedelta(minutes=1), 3)

    assert len(calls) >= 3


async def test_a_role_that_may_not_be_assumed_is_named_by_its_action(
    environment: None, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/").respond_with_data(
        "<ErrorResponse><Error><Code>AccessDenied</Code><Message>hunter2</Message></Error>"
        "</ErrorResponse>",
        status=403,
        content_type="text/xml",
    )
    engine = ecs_engine({"endpoint_url": httpserver.url_for("")})
    location = str(Location(region=REGION, cluster="one", service="t-*", role=ROLE))

    with pytest.raises(ComputeRefused, match="sts:AssumeRole: AccessDenied") as refused:
        await engine.inspect("one", location)

    assert "hunter2" not in str(refused.value)
    await engine.aclose()


@pytest.mark.parametrize("role", ["", ROLE])
async def test_without_credentials_the_worker_says_so(
    environment: None, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    engine = ecs_engine({"endpoint_url": httpserver.url_for("")})
    location = str(Location(region=REGION, cluster="one", service="t-*", role=role))

    with pytest.raises(ComputeUnavailable, match="no AWS credentials"):
        await engine.inspect("one", location)

    await engine.aclose()
