"""Answers of AWS that moto cannot give, from a server that speaks ECS's protocol (JSON 1.1)."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from landlord_engines_core.compute import ComputeSpec, ResourceState
from landlord_engines_core.compute.ecs import connection
from landlord_engines_core.compute.ecs.engine import EcsCompute
from landlord_engines_core.errors import (
    LONGEST_PAUSE,
    ComputeError,
    ComputeRefused,
    ComputeUnavailable,
)
from landlord_engines_core.models import config_hash, key_hashes
from landlord_test_target.compute_engines import ecs_engine

SECRET = "hunter2"
CONFIG = {
    "cluster_arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/one",
    "task_definition_arn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:2",
    "service_name_prefix": "t-",
    "tags": {"password": SECRET},
}
MARK = {"key": "landlord.tenant_id", "value": "one"}
SERVICE = {
    "serviceArn": "arn:aws:ecs:eu-west-1:123456789012:service/one/t-one",
    "serviceName": "t-one",
    "clusterArn": CONFIG["cluster_arn"],
    "status": "ACTIVE",
    "taskDefinition": CONFIG["task_definition_arn"],
    "desiredCount": 1,
    "runningCount": 1,
    "deploymentConfiguration": {
        "maximumPercent": 150,
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
    },
    "tags": [MARK],
}
MISSING = {"services": [], "failures": [{"arn": "x", "reason": "MISSING"}]}


class AnsweringServer:
    """The server's answers by action, the last one repeated, and the requests that it received."""

    def __init__(self, server: HTTPServer) -> None:
        self.requests: list[tuple[str, Mapping[str, object]]] = []
        self._answers: dict[str, list[Response]] = {}
        server.expect_request("/", method="POST").respond_with_handler(self._answer)

    def add_answers(
        self, action: str, *documents: object, status: int = 200, **headers: str
    ) -> None:
        answers = self._answers.setdefault(action, [])
        for document in documents:
            text = document if isinstance(document, str) else json.dumps(document)
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            content = "application/x-amz-json-1.1"
            answers.append(Response(text, status=status, headers=named, content_type=content))

    def refuse(self, action: str, code: str, *, status: int = 400, **headers: str) -> None:
        document = {"__type": code, "message": f"{SECRET} was refused"}
        self.add_answers(action, document, status=status, **headers)

    def _answer(self, request: Request) -> Response:
        if "X-Amz-Target" not in request.headers:
            action, requests = request.form["Action"], dict(request.form)
        else:
            action, requests = (
                request.headers["X-Amz-Target"].split(".")[1],
                request.get_json(force=True),
            )
        self.requests.append((action, requests))
        answers = self._answers[action]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def aws(environment: None, httpserver: HTTPServer) -> AnsweringServer:
    return AnsweringServer(httpserver)


@pytest.fixture
async def engine(aws: AnsweringServer, httpserver: HTTPServer) -> AsyncIterator[EcsCompute]:
    engine = ecs_engine({"endpoint_url": httpserver.url_for(""), "rollout_timeout": 0.1})
    yield engine
    await engine.aclose()


def spec(engine: EcsCompute, **changes: object) -> ComputeSpec:
    config = CONFIG | changes
    return ComputeSpec(
        tenant="one",
        name="acme",
        location=engine.location(config),
        config=config,
        config_hash=config_hash(config),
        key_hashes=key_hashes(config),
    )


def full_text(error: ComputeError) -> str:
    return f"{error} {error!r} {error.hint}"


async def provision_error(engine: EcsCompute) -> ComputeError:
    with pytest.raises(ComputeError) as caught:
        await engine.provision(spec(engine))
    assert SECRET not in full_text(caught.value)
    return caught.value


async def test_an_answer_is_read_up_to_a_limit(
    engine: EcsCompute, aws: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LONGEST_BODY", 1000)
    aws.add_answers("DescribeServices", "[" * 1001)

    error = await provision_error(engine)

    assert isinstance(error, ComputeUnavailable)
    assert "the answer has more than 1000 bytes" in str(error)
    assert "compute.ecs.endpoint_url" in error.hint


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 400),
        ("Throttling", 400),
        ("TooManyRequestsException", 429),
        ("SomethingElse", 429),
        ("ServerException", 500),
        ("ServiceUnavailable", 503),
        ("InternalFailure", 500),
        ("ExpiredTokenException", 400),
    ],
)
async def test_throttling_and_server_errors_are_temporary(
    aws: AnsweringServer, engine: EcsCompute, code: str, status: int
) -> None:
    aws.refuse("DescribeServices", code, status=status)

    error = await provision_error(engine)

    assert isinstance(error, ComputeUnavailable)
    assert error.message == f"AWS cannot do ecs:DescribeServices now: {code}"
    assert error.retry_after is None
    assert len(aws.requests) == 1


@pytest.mark.parametrize(
    ("full_text", "seconds"),
    [
        ("7", 7.0),
        ("86400", LONGEST_PAUSE),
        ("9" * 400, LONGEST_PAUSE),
        ("Fri, 01 Jan 9999 00:00:00 GMT", LONGEST_PAUSE),
        ("Fri, 02 Jan 1970 00:00:00 GMT", None),
        ("0", None),
        ("Fri, 01 Jan 9999 00:00:00", None),
        ("soon", None),
    ],
)
async def test_a_pause_that_aws_asks_for_is_passed_on_within_a_bound(
    aws: AnsweringServer, engine: EcsCompute, full_text: str, seconds: float | None
) -> None:
    aws.refuse("DescribeServices", "ThrottlingException", Retry_After=full_text)

    error = await provision_error(engine)

    assert isinstance(error, ComputeUnavailable)
    assert error.retry_after == seconds


@pytest.mark.parametrize("action", ["DescribeServices", "CreateService", "TagResource"])
async def test_a_missing_permission_is_named(
    aws: AnsweringServer, engine: EcsCompute, action: str
) -> None:
    aws.add_answers("DescribeServices", MISSING)
    aws.add_answers("CreateService", {"service": SERVICE})
    aws._answers.pop(action, None)
    aws.refuse(action, "AccessDeniedException")

    error = await provision_error(engine)

    assert isinstance(error, ComputeRefused)
    assert f"ecs:{action}" in error.message
    assert f"allow ecs:{action}" in error.hint


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("InvalidParameterException", "configuration"),
        ("ClientException", "configuration"),
        ("PlatformUnknownException", "configuration"),
        ("UnrecognizedClientException", "credentials"),
    ],
)
async def test_any_other_refusal_is_reported_by_its_code_alone(
    aws: AnsweringServer, engine: EcsCompute, code: str, hint: str
) -> None:
    aws.add_answers("DescribeServices", MISSING)
    aws.refuse("CreateService", code)

    error = await provision_error(engine)

    assert isinstance(error, ComputeRefused)
    assert error.message == f"AWS refuses ecs:CreateService: {code}"
    assert hint in error.hint


@pytest.mark.parametrize(
    "answer",
    [
        "{",
        "no",
        "[]",
        "{}",
        "",
        *(f'{{"services": {services}}}' for services in ("[]", "3", "[[]]", "[{}]")),
    ],
)
async def test_an_answer_of_another_form_is_an_error(
    aws: AnsweringServer, engine: EcsCompute, answer: str
) -> None:
    aws.add_answers("DescribeServices", answer)

    error = await provision_error(engine)

    assert isinstance(error, ComputeUnavailable)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("ACCESS_DENIED", ComputeRefused),
        ("AccessDenied", ComputeRefused),
        ("BUSY", ComputeUnavailable),
    ],
)
async def test_a_failure_of_describe_other_than_missing_is_an_error(
    aws: AnsweringServer, engine: EcsCompute, reason: str, kind: type[ComputeError]
) -> None:
    aws.add_answers("DescribeServices", {"failures": [{"arn": "x", "reason": reason}]})

    for call in (engine.inspect, engine.destroy):
        with pytest.raises(kind, match=reason):
            await call("one", spec(engine).location)


async def test_a_service_name_that_was_taken_meanwhile_is_inspected_again(
    aws: AnsweringServer, engine: EcsCompute
) -> None:
    aws.add_answers("DescribeServices", MISSING, {"services": [SERVICE]})
    aws.refuse("CreateService", "InvalidParameterException")

    with pytest.raises(ComputeUnavailable, match="another attempt"):
        await engine.provision(spec(engine))


async def test_an_inactive_service_in_an_answer_is_not_mistaken_for_the_new_one(
    aws: AnsweringServer, engine: EcsCompute
) -> None:
    aws.add_answers("DescribeServices", MISSING)
    aws.add_answers("CreateService", {"service": {**SERVICE, "status": "INACTIVE"}})

    with pytest.raises(ComputeUnavailable, match="being deleted"):
        await engine.provision(spec(engine))


async def test_the_client_token_changes_only_with_the_create_request(
    aws: AnsweringServer, engine: EcsCompute
) -> None:
    inactive = {**SERVICE, "status": "INACTIVE", "createdAt": 1700000000.5}
    aws.add_answers("DescribeServices", MISSING, MISSING, MISSING, {"services": [inactive]})
    aws.add_answers("CreateService", {"service": SERVICE})
    aws.add_answers("TagResource", {})

    for changes in ({}, {}, {"desired_count": 3}, {}):
        await engine.provision(spec(engine, **changes))

    first, same, other_config, other_life = (
        str(requests["clientToken"])
        for action, requests in aws.requests
        if action == "CreateService"
    )
    assert first == same
    assert len({first, other_config, other_life}) == 3
    assert all(len(token) <= 36 for token in (first, other_config, other_life))


@pytest.mark.parametrize("action", ["UpdateService", "UntagResource", "TagResource"])
async def test_a_service_that_vanishes_between_two_calls_is_inspected_again(
    aws: AnsweringServer, engine: EcsCompute, action: str
) -> None:
    stale = [MARK, {"key": "landlord.key.x", "value": "1"}]
    old = {**SERVICE, "taskDefinition": "web:1", "tags": stale}
    aws.add_answers(
        "DescribeServices", {"services": [old]}, {"services": [{**SERVICE, "tags": stale}]}
    )
    for other in ("UpdateService", "UntagResource", "TagResource"):
        aws.add_answers(other, {"service": SERVICE})
    aws._answers.pop(action, None)
    aws.refuse(action, "ServiceNotFoundException")

    with pytest.raises(ComputeUnavailable, match="was deleted meanwhile"):
        await engine.update(spec(engine))


@pytest.mark.parametrize("code", ["ServiceNotFoundException", "ServiceNotActiveException"])
async def test_the_delete_of_a_service_that_just_vanished_succeeds(
    aws: AnsweringServer, engine: EcsCompute, code: str
) -> None:
    aws.add_answers("DescribeServices", {"services": [SERVICE]})
    aws.refuse("DeleteService", code)

    assert not await engine.destroy("one", spec(engine).location)


@pytest.mark.parametrize(
    "breaker",
    [
        {},
        {"deploymentCircuitBreaker": {"enable": False, "rollback": True}},
        {"deploymentCircuitBreaker": {"enable": True, "rollback": False}},
        {"deploymentCircuitBreaker": {"enable": True}},
    ],
)
async def test_an_update_sends_only_the_differences(
    aws: AnsweringServer, engine: EcsCompute, breaker: Mapping[str, object]
) -> None:
    deployment = {"maximumPercent": 150, **breaker}
    without_breaker = {**SERVICE, "deploymentConfiguration": deployment}
    aws.add_answers("DescribeServices", {"services": [without_breaker]}, {"services": [SERVICE]})
    aws.add_answers("UpdateService", {"service": SERVICE})
    aws.add_answers("TagResource", {})

    await engine.update(spec(engine))

    (requests,) = (requests for action, requests in aws.requests if action == "UpdateService")
    assert requests == {
        "cluster": SERVICE["clusterArn"],
        "service": "t-one",
        "deploymentConfiguration": {
            "maximumPercent": 150,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        },
    }


async def test_a_failed_rollout_after_a_request_that_cannot_be_undone_is_reported(
    aws: AnsweringServer, engine: EcsCompute
) -> None:
    without_breaker = {**SERVICE, "deploymentConfiguration": {}}
    failed = {"id": "1", "status": "PRIMARY", "rolloutState": "FAILED", "rolloutStateReason": "why"}
    aws.add_answers(
        "DescribeServices",
        {"services": [without_breaker]},
        {"services": [{**SERVICE, "deployments": [failed]}]},
    )
    aws.add_answers("UpdateService", {"service": SERVICE})

    with pytest.raises(ComputeRefused, match="why"):
        await engine.update(spec(engine))


async def test_the_groups_that_ecs_fills_in_are_no_difference(
    aws: AnsweringServer, engine: EcsCompute
) -> None:
    network = {"subnets": ["b", "a"], "securityGroups": ["filled in"]}
    service = {**SERVICE, "networkConfiguration": {"awsvpcConfiguration": network}}
    aws.add_answers("DescribeServices", {"services": [service]})
    aws.add_answers("TagResource", {})

    result = await engine.update(spec(engine, subnets=["a", "b"]))

    assert not result.rolled_back
    assert [action for action, _ in aws.requests if action == "UpdateService"] == []


async def test_a_network_that_the_service_lacks_is_part_of_the_update(
    aws: AnsweringServer, engine: EcsCompute
) -> None:
    network = {"awsvpcConfiguration": {"subnets": ["a"], "assignPublicIp": "DISABLED"}}
    changed = {**SERVICE, "networkConfiguration": network}
    failed = {"id": "1", "status": "PRIMARY", "rolloutState": "FAILED", "rolloutStateReason": "why"}
    aws.add_answers(
        "DescribeServices",
        {"services": [SERVICE]},
        {"services": [{**changed, "deployments": [failed]}]},
    )
    aws.add_answers("UpdateService", {"service": SERVICE})
    aws.add_answers("TagResource", {})
    aws.add_answers("UntagResource", {})

    result = await engine.update(spec(engine, subnets=["a"]))

    first, back = (requests for action, requests in aws.requests if action == "UpdateService")
    assert first["networkConfiguration"] == {
        "awsvpcConfiguration": {
            "subnets": ["a"],
            "securityGroups": [],
            "assignPublicIp": "DISABLED",
        }
    }
    # Without a network configuration, a rollback restores only the task definition.
    assert "networkConfiguration" not in back
    assert result.rolled_back == "why"


async def test_a_refused_rollout_leaves_no_attempt_tag(
    aws: AnsweringServer, engine: EcsCompute
) -> None:
    aws.add_answers("DescribeServices", {"services": [SERVICE]})
    aws.add_answers("TagResource", {})
    aws.refuse("UpdateService", "AccessDeniedException")
    aws.add_answers("UntagResource", {})
    other = str(CONFIG["task_definition_arn"]).replace("web:2", "web:3")

    with pytest.raises(ComputeRefused):
        await engine.update(spec(engine, task_definition_arn=other))

    requests = [action for action, _ in aws.requests]
    assert requests == ["DescribeServices", "TagResource", "UpdateService", "UntagResource"]


async def test_a_value_that_the_client_itself_refuses_is_not_shown(
    aws: AnsweringServer, engine: EcsCompute
) -> None:
    aws.add_answers("DescribeServices", MISSING)
    wrong: dict[str, object] = {"launch_type": "EC2", "tags": {"": SECRET}}

    with pytest.raises(ComputeError) as caught:
        await engine.provision(spec(engine, **wrong))

    assert SECRET not in full_text(caught.value)


async def test_an_endpoint_without_a_listener_is_a_temporary_failure(environment: None) -> None:
    engine = ecs_engine({"endpoint_url": "http://127.0.0.1:9"})
    try:
        with pytest.raises(ComputeUnavailable, match="EndpointConnectionError"):
            await engine.inspect("one", spec(engine).location)
    finally:
        await engine.aclose()


async def test_a_call_that_hangs_holds_up_no_other_tenant(environment: None) -> None:
    release = threading.Event()

    def answer(request: Request) -> Response:
        if "t-slow" in request.get_data(as_text=True):
            release.wait(30)
        return Response(json.dumps(MISSING), content_type="application/x-amz-json-1.1")

    with _threaded() as server:
        server.expect_request("/", method="POST").respond_with_handler(answer)
        engine = ecs_engine({"endpoint_url": server.url_for("")})
        location = spec(engine).location
        slow = [asyncio.create_task(engine.inspect("slow", location)) for _ in range(20)]

        others = await asyncio.gather(
            *(engine.inspect(f"{number}", location) for number in range(20))
        )

        held_up = [task for task in slow if not task.done()]
        release.set()
        await asyncio.gather(*slow)
        await engine.aclose()
    assert {observation.state for observation in others} == {ResourceState.MISSING}
    assert len(held_up) == 20


def _threaded() -> HTTPServer:
    return HTTPServer(threaded=True)
