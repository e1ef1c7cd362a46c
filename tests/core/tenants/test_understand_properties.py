import contextlib
import json
import traceback

import pytest
from hypothesis import given, strategies as st

from landlord_engines_core.errors import InvalidJob
from landlord_engines_core.models import Operation
from landlord_engines_core.tenants.understand import MAX_KEY, understand
from landlord_test_target.strategies import configs, values

SECRET = "sesame-3f1c"

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


@given(names, names, configs)
def test_any_names_and_configuration_that_utf8_holds_make_a_job(
    key: str, name: str, config: dict[str, object]
) -> None:
    document = {"tenant_uuid": key, "tenant_id": name, "desired_config": config}

    job = understand(json.dumps(document).encode())

    assert (job.tenant, job.name, job.desired_config) == (key, name, config)
    assert job.operation is Operation.PROVISION


@given(st.dictionaries(st.sampled_from(["tenant_id", "tenant_uuid", "operation", "x"]), values))
def test_a_job_always_has_a_key_that_a_backend_can_hold(document: dict[str, object]) -> None:
    with contextlib.suppress(InvalidJob):
        job = understand(json.dumps(document).encode())

        assert 0 < len(job.tenant) <= MAX_KEY
        assert len(job.name) <= MAX_KEY
        f"{job.tenant}{job.name}".encode()


@given(
    st.sampled_from(["tenant_id", "tenant_uuid", "operation", "desired_config", "metadata"]),
    st.just(SECRET) | st.just([SECRET]) | st.just({"a": {SECRET: SECRET}}),
)
def test_no_error_tells_a_value(field: str, value: object) -> None:
    # Each is wrong in the other field at least.
    raw = json.dumps({"tenant_uuid": "t", "operation": "?", "metadata": 1, field: value}).encode()

    with pytest.raises(InvalidJob) as caught:
        understand(raw)

    assert SECRET not in "".join(traceback.format_exception(caught.value))
