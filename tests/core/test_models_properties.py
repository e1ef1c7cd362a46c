import json

import pytest
from hypothesis import given, strategies as st

from landlord_engines_core.models import (
    HISTORY_LIMIT,
    JobStart,
    Placement,
    Record,
    Transition,
    config_hash,
    key_hashes,
)
from landlord_test_target.strategies import configs, placements, records, transitions, values

pytestmark = pytest.mark.unmeasured

notes = st.builds(
    JobStart,
    operation=st.sampled_from(("provision", "delete")),
    started_at=st.just("2026-01-01T00:00:00.000Z"),
    placement=st.none() | placements,
)
ids = st.sampled_from([f"inv_{number}" for number in range(8)])


def with_reversed_keys(value: object) -> object:
    """Copy a value with the keys of all its maps in reverse order."""
    if isinstance(value, dict):
        return {key: with_reversed_keys(inner) for key, inner in reversed(value.items())}
    return [with_reversed_keys(inner) for inner in value] if isinstance(value, list) else value


@given(configs)
def test_the_order_of_keys_at_any_depth_does_not_change_the_hash(config: dict[str, object]) -> None:
    assert config_hash(with_reversed_keys(config)) == config_hash(config)


@given(configs)
def test_a_configuration_that_went_through_json_has_the_same_hash(
    config: dict[str, object],
) -> None:
    assert config_hash(json.loads(json.dumps(config, indent=3))) == config_hash(config)


@given(configs, st.text(), values)
def test_only_the_keys_that_changed_have_other_hashes(
    config: dict[str, object], key: str, value: object
) -> None:
    before, after = key_hashes(config), key_hashes({**config, key: value})

    assert {changed for changed in after if before.get(changed) != after[changed]} <= {key}
    same = json.dumps(config.get(key, ...), default=str, sort_keys=True) == json.dumps(
        value, sort_keys=True
    )
    assert (before.get(key) == after[key]) is (key in config and same)


@given(records, ids, notes)
def test_recording_a_start_is_idempotent(record: Record, job: str, note: JobStart) -> None:
    once = record.with_start(job, note)

    assert once.with_start(job, note) == once
    assert set(record.placements) <= set(once.placements)
    assert note.placement is None or note.placement in once.placements


@given(records, transitions)
def test_recording_an_end_is_idempotent(record: Record, end: Transition) -> None:
    once = record.with_end(end)

    assert once.with_end(end) is once
    assert once.has_ended(end.execution_id)


@given(records, transitions)
def test_after_an_end_a_placement_is_recorded_unless_it_was_cleared(
    record: Record, end: Transition
) -> None:
    expected = set(record.placements)
    if not record.has_ended(end.execution_id):
        expected = (expected - set(end.removed)) | ({end.placement} if end.placement else set())

    assert set(record.with_end(end).placements) == expected


@given(st.lists(st.tuples(notes, transitions) | notes, max_size=130))
def test_a_record_holds_each_job_once_in_order_and_never_more_than_its_limit(
    jobs: list[tuple[JobStart, Transition] | JobStart],
) -> None:
    record, begun = Record(), []
    for number, job in enumerate(jobs):
        name = f"inv_{number}"
        note, end = job if isinstance(job, tuple) else (job, None)
        record = record.with_start(name, note)
        if end is not None:
            named = {"execution_id": name, "operation": end.operation, "placement": end.placement}
            record = record.with_end(
                Transition(started_at=note.started_at, ended_at=end.ended_at, **named)  # type: ignore[arg-type]
            )
        begun.append(name)

    assert [transition.execution_id for transition in record.transitions] == begun[-HISTORY_LIMIT:]
    assert len(set(record.placements)) == len(record.placements)


@given(placements)
def test_a_placement_is_identified_by_engine_and_location(placement: Placement) -> None:
    bare = Placement(placement.engine, placement.location)

    assert (placement, hash(placement)) == (bare, hash(bare))
