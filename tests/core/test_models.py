import attrs
import pytest
from hypothesis import given, strategies as st

from landlord_engines_core import codec
from landlord_engines_core.models import (
    HISTORY_LIMIT,
    Job,
    JobStart,
    Operation,
    Outcome,
    Placement,
    Record,
    Tenant,
    Transition,
    config_hash,
    key_hashes,
)

START = JobStart(
    operation="provision", started_at="2026-01-01T00:00:00Z", placement=Placement("mock")
)


def _transition(
    execution_id: str = "inv_1",
    *,
    placement: Placement | None = None,
    removed: tuple[Placement, ...] = (),
) -> Transition:
    return Transition(
        execution_id=execution_id,
        operation="provision",
        started_at="2026-01-01T00:00:00Z",
        ended_at="2026-01-01T00:00:01Z",
        outcome=Outcome.CREATED,
        placement=placement,
        removed=removed,
    )


def test_a_jobs_start_and_location_are_in_its_record_before_its_end() -> None:
    record = Record().with_start("inv_1", START)

    assert record.placements == (Placement("mock"),)
    assert [(t.execution_id, t.ended_at) for t in record.transitions] == [("inv_1", None)]
    assert not record.has_ended("inv_1")


def test_recording_the_same_start_again_changes_nothing() -> None:
    record = Record().with_start("inv_1", START)

    assert record.with_start("inv_1", START) == record


def test_a_start_without_a_placement_keeps_the_placements() -> None:
    record = Record(placements=(Placement("mock"),))

    noted = record.with_start(
        "inv_1", JobStart(operation="delete", started_at="2026-01-01T00:00:00Z")
    )

    assert noted.placements == record.placements


def test_placements_are_compared_without_resource_ids() -> None:
    named = Placement("mock", "a", {"id": "1"})

    assert named == Placement("mock", "a", {"id": "2"})
    assert hash(named) == hash(Placement("mock", "a"))
    assert named != Placement("mock", "b", {"id": "1"})


def test_a_placement_can_be_reduced_to_engine_and_location() -> None:
    assert Placement("mock", "a", {"id": "1"}).bare().resource_ids == {}
    assert Placement("mock", "a", {"id": "1"}).bare() == Placement("mock", "a")


def test_a_placement_is_recorded_once_and_without_a_start() -> None:
    record = Record().with_placement(Placement("mock"))

    assert record.placements == (Placement("mock"),)
    assert record.transitions == ()
    assert record.with_placement(Placement("mock")) is record
    assert record.with_placement(None) is record


def test_the_candidates_of_a_delete_count_only_without_recorded_placements() -> None:
    note = JobStart(operation="delete", started_at="t", candidates=(Placement("a"), Placement("b")))

    assert Record().with_start("inv_1", note).placements == note.candidates
    known = Record(placements=(Placement("mock"),))
    assert known.with_start("inv_1", note).placements == known.placements


def test_a_resync_without_a_repair_leaves_the_history_unchanged() -> None:
    record = Record().with_start("inv_1", START)
    end = attrs.evolve(_transition("inv_2", removed=(Placement("mock"),)), operation="resync")

    ended = record.with_end(end)
    quiet = record.with_end(attrs.evolve(end, outcome=Outcome.ABSENT))

    assert [t.execution_id for t in ended.transitions] == ["inv_1", "inv_2"]
    assert quiet.transitions == record.transitions
    assert ended.placements == quiet.placements == ()
    assert not ended.has_ended("inv_1")


def test_an_end_replaces_the_start() -> None:
    record = Record().with_start("inv_1", START)

    ended = record.with_end(_transition(placement=Placement("mock", "", {"id": "1"})))

    assert ended.has_ended("inv_1")
    assert ended.transitions == (_transition(placement=Placement("mock")),)
    assert [p.resource_ids for p in ended.placements] == [{"id": "1"}]


def test_an_end_that_is_written_already_changes_nothing() -> None:
    record = Record().with_end(_transition(placement=Placement("mock")))

    assert record.with_end(_transition(removed=(Placement("mock"),))) is record


def test_a_cleared_location_is_removed_from_the_record() -> None:
    record = Record(placements=(Placement("mock"), Placement("docker", "host")))

    ended = record.with_end(_transition(removed=(Placement("docker", "host", {"id": "1"}),)))

    assert ended.placements == (Placement("mock"),)


def test_the_placement_of_the_last_job_comes_last() -> None:
    record = Record(placements=(Placement("mock"), Placement("docker")))

    ended = record.with_end(_transition(placement=Placement("mock")))

    assert ended.placements == (Placement("docker"), Placement("mock"))


def test_an_end_without_a_start_is_recorded_too() -> None:
    assert Record().with_end(_transition("inv_9")).has_ended("inv_9")


def test_a_record_keeps_only_its_latest_transitions() -> None:
    record = Record()

    for number in range(HISTORY_LIMIT + 5):
        record = record.with_start(f"inv_{number}", START).with_end(_transition(f"inv_{number}"))

    assert len(record.transitions) == HISTORY_LIMIT
    assert record.transitions[0].execution_id == "inv_5"
    assert record.transitions[-1].execution_id == f"inv_{HISTORY_LIMIT + 4}"


def test_a_record_of_a_newer_version_stays_readable() -> None:
    raw = (
        b'{"placements": [{"engine": "mock", "zone": "x"}], "later": 1,'
        b' "transitions": [{"execution_id": "inv_1", "operation": "teleport",'
        b' "started_at": "2026-01-01T00:00:00Z", "outcome": "teleported"}]}'
    )

    record = codec.loads(raw, Record)

    assert record.placements == (Placement("mock"),)
    assert record.transitions[0].outcome == "teleported"


def test_a_record_reads_back_as_it_was_written() -> None:
    record = (
        Record()
        .with_start("inv_1", START)
        .with_end(_transition(placement=Placement("mock", "a", {"id": "1"})))
    )

    assert codec.loads(codec.dumps(record), Record) == record


def test_a_printed_value_never_shows_a_configuration() -> None:
    config = {"env": {"PASSWORD": "hunter2"}}
    job = Job(tenant="t", name="n", operation=Operation.UPDATE, desired_config=config)
    tenant = Tenant(id="t", desired_config=config)

    assert "hunter2" not in repr((job, tenant))


def test_the_hash_is_that_of_the_sorted_compact_text() -> None:
    assert config_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@given(st.dictionaries(st.text(), st.integers() | st.text(), min_size=1))
def test_the_order_of_keys_does_not_change_the_hash(config: dict[str, object]) -> None:
    turned = dict(reversed(config.items()))

    assert config_hash(turned) == config_hash(config)


@pytest.mark.parametrize("other", [{"a": 2}, {"b": 1}, {"a": "1"}, {"a": True}, {"a": None}, {}])
def test_another_configuration_has_another_hash(other: dict[str, object]) -> None:
    assert config_hash(other) != config_hash({"a": 1})


def test_a_changed_key_can_be_named_without_its_value() -> None:
    before = key_hashes({"image": "web:1", "replicas": 1})
    after = key_hashes({"image": "web:2", "replicas": 1})

    assert before["image"] != after["image"]
    assert before["replicas"] == after["replicas"]
    assert "web" not in str(before)
