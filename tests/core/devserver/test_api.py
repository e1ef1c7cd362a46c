import asyncio
from uuid import uuid4

import pytest

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import ComputeRefused
from landlord_test_target.in_memory import ScriptedCompute
from landlord_test_target.landlord import FAILED, RUNNING, SUCCEEDED, ApiUser, ScriptedDispatcher

SCHEMA = {"type": "object", "required": ["image"], "properties": {"n": {"type": "integer"}}}


class RefusingMock(ScriptedCompute):
    def validate(self, config: object) -> None:
        assert isinstance(config, dict)
        assert config["layer"] == {"below": 1, "above": 2}
        raise ComputeRefused("$.image is not known")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/api", "version_required"),
        ("/api/x/y", "version_required"),
        ("/v2", "unsupported_version"),
        ("/v2/tenants", "unsupported_version"),
        ("/v1beta", "unsupported_version"),
    ],
)
async def test_a_path_of_another_api_version_is_answered_with_the_available_one(
    landlord: ApiUser, path: str, error: str
) -> None:
    answer = await landlord.call("GET", path)

    assert (answer.status, answer.body) == (400, {"error": error, "details": ["v1"]})


@pytest.mark.parametrize("path", ["/", "/tenants", "/v1", "/v1/", "/v1/unknown", "/apis"])
async def test_an_unknown_path_is_answered_in_plain_text(landlord: ApiUser, path: str) -> None:
    answer = await landlord.call("GET", path)

    assert (answer.status, answer.raw) == (404, b"404 page not found\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("method", ["PATCH", "HEAD"])
async def test_an_unknown_method_is_answered_without_a_body(landlord: ApiUser, method: str) -> None:
    answer = await landlord.call(method, "/v1/tenants/x")

    assert (answer.status, answer.raw) == (405, b"")
    assert "Content-Type" not in answer.headers


async def test_an_error_carries_the_request_id_only_where_one_was_sent(landlord: ApiUser) -> None:
    without = await landlord.call("GET", "/v1/tenants/x")
    with_one = await landlord.call("GET", "/v1/tenants/x", headers={"X-Request-ID": "r1"})

    assert without.body == {"error": "Tenant not found"}
    assert with_one.body == {"error": "Tenant not found", "request_id": "r1"}


@pytest.mark.parametrize("path", ["/health", "/v1/tenants/x", "/tenants", "/api"])
async def test_every_answer_has_a_correlation_id_and_repeats_that_of_the_request(
    landlord: ApiUser, path: str
) -> None:
    sent = await landlord.call("GET", path, headers={"X-Correlation-ID": "c1"})
    fresh = [await landlord.call("GET", path) for _ in range(2)]

    assert sent.headers["X-Correlation-ID"] == "c1"
    assert len({answer.headers["X-Correlation-ID"] for answer in fresh}) == 2


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"compute_config": {}}, "name is required"),
        ({"name": "  ", "compute_config": {}}, "name is required"),
        ({"name": "ü" * 128, "compute_config": {}}, "name must be <= 255 characters"),
        ({"name": "x", "compute_config": None}, "compute_config is required"),
        ({"name": 1, "compute_config": {}}, "Invalid JSON format"),
        ({"name": "x", "compute_config": {}, "labels": {"a": 1}}, "Invalid JSON format"),
        (["x"], "Invalid JSON format"),
        (b"", "Invalid JSON format"),
    ],
)
async def test_a_create_that_is_not_understood_is_refused(
    landlord: ApiUser, body: object, error: str
) -> None:
    answer = await landlord.call("POST", "/v1/tenants", body)

    assert answer.error == (400, error)


@pytest.mark.parametrize(
    "name", ["Bad Name!", "ünïcode", "..", "a" * 255, "11111111-1111-1111-1111-111111111111"]
)
async def test_a_name_may_hold_any_characters(landlord: ApiUser, name: str) -> None:
    tenant = await landlord.create(f" {name} ")

    assert (await landlord.get(tenant)).body["name"] == name


async def test_a_tenant_is_found_by_its_name_unless_that_reads_as_a_uuid_or_holds_a_slash(
    landlord: ApiUser,
) -> None:
    plain = await landlord.create("Bad Name!")
    await landlord.create(name := str(uuid4()))
    await landlord.create("acme/with slash")

    assert (await landlord.get("Bad Name!")).body["id"] == plain
    assert (await landlord.get(plain.upper())).body["id"] == plain
    assert (await landlord.get(name)).status == 404
    assert (await landlord.get("acme/with slash")).status == 404


async def test_a_renamed_tenant_is_not_found_by_its_old_name(landlord: ApiUser) -> None:
    tenant = await landlord.create("old")
    await landlord.create("other")
    path = f"/v1/tenants/{tenant}"

    taken = await landlord.call("PUT", path, {"name": "other", "compute_config": {}})
    renamed = await landlord.call("PUT", path, {"name": " new ", "compute_config": {}})
    same = await landlord.call("PUT", path, {"name": "new", "compute_config": {}})

    assert taken.error == (409, "Tenant name already exists")
    assert (renamed.status, renamed.body["name"]) == (200, "new")
    assert same.status == 200
    assert (await landlord.get("old")).status == 404


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "compute_config is required"),
        ({"name": "x"}, "compute_config is required"),
        ({"name": "", "compute_config": {}}, "name is required"),
        (b"{nope", "Invalid JSON format"),
    ],
)
async def test_an_update_that_is_not_understood_is_refused(
    landlord: ApiUser, body: object, error: str
) -> None:
    tenant = await landlord.create("x")

    answer = await landlord.call("PUT", f"/v1/tenants/{tenant}", body)

    assert answer.error == (400, error)


async def test_an_update_replaces_the_configuration_and_the_other_fields_that_it_sends(
    landlord: ApiUser,
) -> None:
    body = {
        "name": "x",
        "compute_config": {"a": 1},
        "labels": {"l": "1"},
        "annotations": {"n": "1"},
    }
    tenant = (await landlord.call("POST", "/v1/tenants", body)).body["id"]
    path = f"/v1/tenants/{tenant}"

    answer = (await landlord.call("PUT", path, {"compute_config": {"b": "<2>"}})).body
    emptied = await landlord.call(
        "PUT", path, {"compute_config": {}, "labels": {}, "annotations": {}}
    )

    assert answer["desired_config"] == answer["compute_config"] == {"b": "<2>"}
    assert (answer["labels"], answer["annotations"]) == ({"l": "1"}, {"n": "1"})
    assert not {"desired_config", "compute_config", "labels", "annotations"} & set(emptied.body)


async def test_text_is_escaped_as_go_does_and_any_content_type_is_taken(landlord: ApiUser) -> None:
    body = b'{"name": "x", "compute_config": {"a": "<&>", "n": 12345678901234567890}}'

    answer = await landlord.call(
        "POST", "/v1/tenants", body, headers={"Content-Type": "text/plain"}
    )

    assert b'"desired_config":{"a":"\\u003c\\u0026\\u003e","n":12345678901234567000}' in answer.raw


class TestWithSeveralComputeEngines:
    @pytest.fixture
    def compute(self) -> ComputeRegistry:
        layered = {"layer": {"below": 1}}
        return ComputeRegistry(
            {
                "mock": MockCompute(),
                "strict": ScriptedCompute(layered, schema=SCHEMA),
                "picky": RefusingMock(layered),
            }
        )

    @pytest.mark.parametrize(
        "body",
        [
            {"compute_config": {"compute_provider": "strict"}},
            {"compute_config": {"compute_provider_type": "strict"}},
            {"compute_config": {}, "labels": {"compute_provider": "strict"}},
            {"compute_config": {}, "annotations": {"compute_provider": "strict"}},
            {
                "compute_config": {"compute_provider": "strict", "compute_provider_type": "mock"},
                "labels": {"compute_provider": "mock"},
            },
        ],
    )
    async def test_the_engine_is_named_by_configuration_label_or_annotation_in_this_order(
        self, landlord: ApiUser, body: dict[str, object]
    ) -> None:
        answer = await landlord.call("POST", "/v1/tenants", {"name": "x", **body})

        assert answer.error == (400, "Invalid compute configuration")

    async def test_a_tenant_that_names_no_engine_is_refused(self, landlord: ApiUser) -> None:
        body = {"name": "x", "compute_config": {"compute_provider": 1}}

        answer = await landlord.call("POST", "/v1/tenants", body)

        assert answer.error == (
            400,
            "compute_provider is required when multiple compute providers are configured",
        )

    async def test_the_schema_is_checked_without_defaults(self, landlord: ApiUser) -> None:
        config = {"compute_provider": "strict", "n": "hush"}

        answer = await landlord.call("POST", "/v1/tenants", {"name": "x", "compute_config": config})

        assert answer.body["details"] == [
            "/: breaks the rule 'required' ['image']",
            "/n: breaks the rule 'type' integer",
        ]
        assert "hush" not in answer.raw.decode()

    async def test_the_rules_of_the_engine_are_checked_with_defaults(
        self, landlord: ApiUser
    ) -> None:
        config = {"compute_provider": "picky", "layer": {"above": 2}}

        answer = await landlord.call("POST", "/v1/tenants", {"name": "x", "compute_config": config})

        assert answer.body == {
            "error": "Invalid compute configuration",
            "details": ["$.image is not known"],
        }

    async def test_an_update_without_an_engine_is_checked_with_the_current_engine(
        self, landlord: ApiUser
    ) -> None:
        tenant = await landlord.create("x", compute_provider="strict", image="i")

        refused = await landlord.update(tenant, n=1)
        accepted = await landlord.update(tenant, image="j")
        lost = await landlord.update(tenant, image="k")

        assert refused.error == (400, "Invalid compute configuration")
        assert accepted.status == 200
        assert lost.error == (
            400,
            "compute_provider is required when multiple compute providers are configured",
        )

    async def test_the_api_returns_the_schema_of_a_configuration(self, landlord: ApiUser) -> None:
        answer = await landlord.call("GET", "/v1/compute/config?provider=strict")

        assert answer.body == {
            "provider": "strict",
            "schema": SCHEMA,
            "defaults": {"layer": {"below": 1}},
        }


async def test_an_archival_is_refused_unless_the_tenant_is_ready_or_has_failed(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    tenant = await landlord.create("x")
    await landlord.wait_fields(tenant, status="provisioning")

    refused = await landlord.archive(tenant)
    dispatcher.answers["inv_1"] = FAILED
    await landlord.wait_fields(tenant, status="failed")
    dispatcher.default_answer = SUCCEEDED

    assert refused.error == (409, "Invalid state transition")
    assert (await landlord.archive(tenant)).status == 202
    await landlord.wait_fields(tenant, status="archived")
    assert (await landlord.archive(tenant)).status == 200


async def test_a_failed_tenant_cannot_be_updated(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    dispatcher.default_answer = FAILED
    tenant = await landlord.create("x")
    await landlord.wait_fields(tenant, status="failed")

    answer = await landlord.update(tenant, n=1)

    assert answer.error == (409, "Cannot update tenant in failed state")


async def test_an_update_of_a_tenant_that_is_updating_already_is_accepted(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    tenant = await landlord.create("x")
    await landlord.wait_fields(tenant, status="provisioning")
    dispatcher.answers["inv_1"] = SUCCEEDED
    await landlord.wait_fields(tenant, status="ready")

    first = await landlord.update(tenant, n=1)
    second = await landlord.update(tenant, n=2)

    assert (first.status, first.body["status_message"]) == (202, "Update requested")
    assert (second.status, second.body["desired_config"]) == (202, {"n": 2})


async def test_one_of_two_simultaneous_changes_of_a_record_is_refused(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    tenant = await landlord.create("x")
    await landlord.wait_fields(tenant, status="provisioning")
    dispatcher.default_answer = RUNNING

    answers = await asyncio.gather(*(landlord.delete(tenant) for _ in range(3)))

    assert {answer.status for answer in answers} == {202}
    await dispatcher.wait_dispatched(2)
    assert dispatcher.operations() == ["provision", "delete"]
