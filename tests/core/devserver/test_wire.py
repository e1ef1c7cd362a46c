"""The simulation dispatches the recorded bodies of the real Landlord, byte by byte."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from landlord_engines_core.devserver.gojson import decode
from landlord_engines_core.devserver.records import State, TenantRecord
from landlord_engines_core.devserver.wire import provision_request, rfc3339

RECORDED = Path(__file__).parents[2] / "data" / "landlord-wire" / "restate-dispatch.json"
ASKING = {"provision": State.REQUESTED, "update": State.UPDATING, "delete": State.ARCHIVING}


def record(body: Any) -> TenantRecord:
    return TenantRecord(
        id=body["tenant_uuid"],
        name=body["tenant_id"],
        status=ASKING[body["operation"]],
        desired_config=body.get("desired_config", {}),
    )


def test_every_recorded_body_is_written_byte_for_byte() -> None:
    recorded: list[str] = [
        exchange["request"]["body_raw"] for exchange in json.loads(RECORDED.read_text())
    ]

    written = [provision_request(record(decode(raw.encode()))).decode() for raw in recorded]

    assert written == recorded
    assert len(recorded) == 15


def test_a_tenant_with_an_empty_configuration_has_three_fields() -> None:
    body = {"tenant_id": "x", "tenant_uuid": "1", "operation": "provision"}

    assert json.loads(provision_request(record(body))) == body


def test_only_a_provider_in_the_configuration_itself_is_sent_apart() -> None:
    document = {"tenant_uuid": "1", "tenant_id": "x", "operation": "update"}
    configs = (
        {"compute_provider": "mock"},
        {"compute_provider_type": "mock"},
        {"compute_provider": 1.0},
    )

    sent = [
        json.loads(provision_request(record({**document, "desired_config": config})))
        for config in configs
    ]

    assert [body.get("compute_provider") for body in sent] == ["mock", None, None]


def test_a_time_has_no_trailing_zeros() -> None:
    moment = datetime(2026, 11, 23, 5, 51, 30, 100210, tzinfo=UTC)

    assert rfc3339(moment) == "2026-11-23T05:51:30.10021Z"
    assert rfc3339(moment.replace(microsecond=0)) == "2026-11-23T05:51:30Z"
