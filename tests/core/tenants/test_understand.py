import contextlib
import json

import pytest
from hypothesis import given, strategies as st

from landlord_engines_core.errors import InvalidJob
from landlord_engines_core.models import Operation
from landlord_engines_core.tenants.understand import MAX_KEY, understand


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
def test_landlords_words_and_their_aliases_are_known(word: str, operation: Operation) -> None:
    assert understand(body(operation=word)).operation is operation


def test_the_uuid_is_the_key_and_the_name_only_without_it() -> None:
    assert understand(body()).tenant == "7"
    assert understand(body(tenant_uuid=None)).tenant == "acme"
    assert understand(body()).name == "acme"
    assert understand(body(tenant_id=None)).name == ""


def test_null_is_as_good_as_missing() -> None:
    job = understand(body(desired_config=None, compute_provider=None, metadata=None))

    assert (job.desired_config, job.compute_provider) == ({}, "")


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"", "$ is not JSON"),
        (b"{}", "$.tenant_uuid and $.tenant_id"),
        (body(operation="levitate"), "$.operation"),
        (body(tenant_uuid="x" * (MAX_KEY + 1)), "$.tenant_uuid is longer"),
        (body(tenant_uuid="", tenant_id="x" * (MAX_KEY + 1)), "$.tenant_id is longer"),
        (body(tenant_id="x" * (MAX_KEY + 1)), "$.tenant_id is longer"),
        (body(tenant_uuid="\ud800"), "not valid Unicode"),
        (body(tenant_id="\ud800"), "not valid Unicode"),
        (body(desired_config=[1]), "$.desired_config must be an object"),
    ],
)
def test_what_is_not_a_job_names_its_field(raw: bytes, named: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        understand(raw)

    assert named in str(caught.value)
    assert caught.value.status == 400


@given(st.binary())
def test_no_bytes_are_anything_but_a_job_or_invalid(raw: bytes) -> None:
    with contextlib.suppress(InvalidJob):
        understand(raw)
