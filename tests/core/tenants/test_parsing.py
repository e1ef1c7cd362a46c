import contextlib
import json
import sys

import pytest
from hypothesis import given, strategies as st

from landlord_engines_core.errors import InvalidJob
from landlord_engines_core.jsontext import MAX_DEPTH
from landlord_engines_core.models import Job, Operation
from landlord_engines_core.tenants.parsing import MAX_KEY, MAX_READ, parse_job

DEEP = "[" * 100_000 + "]" * 100_000


def body(**kinds: object) -> bytes:
    return json.dumps({"tenant_id": "acme", "tenant_uuid": "7", **kinds}).encode()


@pytest.mark.parametrize(
    ("word", "operation"),
    [
        ("", Operation.PROVISION),
        (None, Operation.PROVISION),
        ("provision", Operation.PROVISION),
        ("create", Operation.PROVISION),
        ("apply", Operation.PROVISION),
        ("update", Operation.UPDATE),
        ("delete", Operation.DELETE),
        ("destroy", Operation.DELETE),
        ("plan", Operation.PLAN),
    ],
)
def test_operations_of_landlord_and_their_aliases_are_known(
    word: str, operation: Operation
) -> None:
    assert parse_job(body(operation=word)).operation is operation


def test_the_uuid_is_the_key_and_the_name_only_without_it() -> None:
    assert parse_job(body()).tenant == "7"
    assert parse_job(body(tenant_uuid=None)).tenant == "acme"
    assert parse_job(body()).name == "acme"
    assert parse_job(body(tenant_id=None)).name == ""


def test_null_counts_as_missing() -> None:
    job = parse_job(body(desired_config=None, compute_provider=None, metadata=None))

    assert (job.desired_config, job.compute_provider) == ({}, "")


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"", "$ is not a JSON object, at character 0"),
        (b"[]", "$ is not a JSON object, at character 0"),
        (b'\xef\xbb\xbf{"tenant_id": "a"}', "$ is not a JSON object, at character 0"),
        (b'{"tenant_id": "a"} {}', "$ is not a JSON object, at character 19"),
        (b'{"tenant_id": "a", "desired_config": {"a": }}', "$ is not a JSON object"),
        (b'{"tenant_id": "a", "x": NaN, "y": }', "$ is not a JSON object, at character 34"),
        (b'{"x": [' + DEEP.encode() + b"}", "$ is not a JSON object"),
        (b"{}", "$.tenant_uuid and $.tenant_id"),
        (body(operation="levitate"), "$.operation"),
        (body(tenant_uuid="x" * (MAX_KEY + 1)), "$.tenant_uuid is longer"),
        (body(tenant_uuid="", tenant_id="x" * (MAX_KEY + 1)), "$.tenant_id is longer"),
        (body(tenant_uuid=5), "$.tenant_uuid must be a string"),
        (body(tenant_uuid=None, tenant_id=[]), "$.tenant_id must be a string"),
        (body(operation=True), "$.operation must be a string"),
        (body(operation=float("inf")), "$.operation contains NaN, Infinity or a number"),
    ],
)
def test_an_error_for_an_invalid_job_names_the_field(raw: bytes, named: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        parse_job(raw)

    assert named in str(caught.value)
    assert caught.value.status == 400


def raw(operation: str, **fields: str) -> bytes:
    """Build a body from fields whose values are raw JSON."""
    named = "".join(f', "{field}": {text}' for field, text in fields.items())
    return f'{{"tenant_uuid": "7", "operation": "{operation}"{named}}}'.encode()


UNREADABLE = [
    ("[1]", "$.desired_config must be an object"),
    ('"x"', "$.desired_config must be an object"),
    (f'{{"a": {DEEP}}}', f"$.desired_config is nested more than {MAX_DEPTH} levels deep"),
    (
        '{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1),
        f"$.desired_config is nested more than {MAX_DEPTH} levels deep",
    ),
    (json.dumps({"a": "x" * MAX_READ}), "$.desired_config has 4194313 characters, at most 4194304"),
    ('{"a": NaN}', "$.desired_config contains NaN, Infinity or a number"),
    ('{"a": [-1e999]}', "$.desired_config contains NaN, Infinity or a number"),
    (f'{{"a": {"9" * 5000}}}', "$.desired_config contains NaN, Infinity or a number"),
]


@pytest.mark.parametrize(
    ("config", "reason"), UNREADABLE, ids=[config[:12] for config, _ in UNREADABLE]
)
@pytest.mark.parametrize("operation", ["provision", "update", "delete", "plan"])
def test_a_configuration_that_cannot_be_read_leaves_tenant_and_operation(
    operation: str, config: str, reason: str
) -> None:
    job = parse_job(raw(operation, desired_config=config))

    assert (job.tenant, job.operation, job.desired_config) == ("7", operation, {})
    assert job.unreadable.startswith(reason)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"compute_provider": "5"}, "$.compute_provider must be a string"),
        ({"compute_provider": DEEP}, "$.compute_provider is nested more than"),
        ({"tenant_id": "{}"}, "$.tenant_id must be a string"),
        ({"tenant_id": f'"{"x" * (MAX_KEY + 1)}"'}, "$.tenant_id is longer than"),
    ],
)
def test_an_engine_or_a_name_that_cannot_be_read_stops_all_but_a_delete(
    fields: dict[str, str], reason: str
) -> None:
    config = {"desired_config": '{"location": "east"}'}

    assert parse_job(raw("update", **fields, **config)).unreadable.startswith(reason)
    job = parse_job(raw("delete", **fields, **config))
    assert (job.unreadable, job.desired_config) == ("", {"location": "east"})


@pytest.mark.parametrize("junk", ["1", "NaN", "1e999", DEEP, '{"a": 1}', f'"{"x" * MAX_READ}"'])
def test_fields_that_no_job_needs_are_not_read(junk: str) -> None:
    job = parse_job(raw("update", metadata=junk, other=junk, desired_config='{"a": 1}'))

    assert (job.desired_config, job.unreadable) == ({"a": 1}, "")


def test_keys_ignore_case_and_the_last_one_wins_as_in_go() -> None:
    written = (
        '{"tenant_id": "a", "OPERATION": "update", "operation": "plan", "Operation": "delete"}'
    )

    assert parse_job(written.encode()).operation is Operation.DELETE
    assert parse_job(b'{"TENANT_UUID": "1", "tenant_uuid": "2"}').tenant == "2"
    assert parse_job('{"tenant_id": "a", "de\u017fired_config": {"b": 1}}'.encode()).desired_config


def test_a_lone_surrogate_in_a_name_is_replaced_as_in_go() -> None:
    job = parse_job(body(tenant_uuid="\ud800", desired_config={"\udfff": "\ud800"}))

    assert (job.tenant, job.desired_config) == ("\ufffd", {"\ufffd": "\ufffd"})


def test_a_body_nested_deeper_than_the_stack_allows_is_held() -> None:
    config = '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH

    def parse_deeper(levels: int) -> Job:
        body = raw("update", desired_config=config)
        return parse_deeper(levels - 1) if levels else parse_job(body)

    assert parse_deeper(0).unreadable == ""
    unreadable = parse_deeper(sys.getrecursionlimit() - 400).unreadable
    # From Python 3.12 on, C code has its own stack limit, so parsing succeeds at this depth.
    assert "levels deep" in unreadable or (sys.version_info >= (3, 12) and not unreadable)


@given(st.binary())
def test_any_bytes_are_a_job_or_an_invalid_job(raw: bytes) -> None:
    with contextlib.suppress(InvalidJob):
        parse_job(raw)
