import contextlib
import json
import traceback
from typing import Any

import pytest
from hypothesis import given, strategies as st

from landlord_engines_core.errors import InvalidJob
from landlord_engines_core.models import Job, Operation
from landlord_engines_core.tenants.parsing import MAX_KEY, parse_job
from landlord_test_target.strategies import configs, values

SECRET = "sesame-3f1c"

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


def without_lone_surrogates(value: object) -> Any:
    """Copy a value without lone surrogates."""
    if isinstance(value, dict):
        return {
            without_lone_surrogates(key): without_lone_surrogates(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [without_lone_surrogates(inner) for inner in value]
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


@given(names, names, configs)
def test_any_names_and_configuration_that_utf8_holds_make_a_job(
    key: str, name: str, config: dict[str, object]
) -> None:
    document = {"tenant_uuid": key, "tenant_id": name, "desired_config": config}

    job = parse_job(json.dumps(document).encode())

    assert (job.tenant, job.name, job.desired_config) == (
        key,
        name,
        without_lone_surrogates(config),
    )
    assert job.operation is Operation.PROVISION


@given(st.dictionaries(st.sampled_from(["tenant_id", "tenant_uuid", "operation", "x"]), values))
def test_a_job_always_has_a_key_that_a_backend_can_hold(document: dict[str, object]) -> None:
    with contextlib.suppress(InvalidJob):
        job = parse_job(json.dumps(document).encode())

        assert 0 < len(job.tenant) <= MAX_KEY
        assert len(job.name) <= MAX_KEY
        f"{job.tenant}{job.name}".encode()


@given(
    st.sampled_from(["tenant_id", "tenant_uuid", "operation", "desired_config"]),
    st.just(SECRET) | st.just([SECRET]) | st.just({"a": {SECRET: SECRET}}),
)
def test_no_error_shows_a_value(field: str, value: object) -> None:
    # Each body has at least a wrong operation.
    raw = json.dumps({"tenant_uuid": "t", "operation": SECRET, field: value}).encode()

    with pytest.raises(InvalidJob) as caught:
        parse_job(raw)

    assert SECRET not in "".join(traceback.format_exception(caught.value))


@given(
    st.dictionaries(
        st.sampled_from(["tenant_id", "tenant_uuid", "operation", "desired_config", "x"]),
        values | st.sampled_from(["t", "delete", "update"]),
    ),
    st.sampled_from(["1", "NaN", "[" * 2000 + "]" * 2000]),
)
def test_the_fast_and_the_slow_reader_of_a_body_agree(
    document: dict[str, object], other: str
) -> None:
    """If another field is unreadable, the slow reader reads the body member by member."""
    text = json.dumps({**document, "other": 1})
    with_other = f"{text[: -len('1}')]}{other}}}"

    assert _read(with_other) == _read(text)


def _read(text: str) -> Job | str:
    try:
        return parse_job(text.encode())
    except InvalidJob as error:
        return str(error)
