"""Recovery times count only operations with one kill and no other fault."""

from collections.abc import Mapping

import pytest

from landlord_test_target.faults.fault import Fault
from landlord_test_target.faults.load import Operation
from landlord_test_target.faults.recovery_times import RecoveryTimes

KILL = {"kind": "worker -9", "is_kill": True, "at": 10.0, "recovered": 12.0}


def operation(**fields: object) -> Operation:
    usual = {"tenant": "t", "kind": "update", "config": {}, "begun": 9.0, "ended": 13.0}
    return Operation(**{**usual, **fields})  # type: ignore[arg-type]


def recovery_seconds(
    operation: Operation,
    *others: Operation,
    faults: tuple[Mapping[str, object], ...] = (),
    lost_at: float = 0.0,
) -> list[float]:
    kill = Fault(**KILL, running=[operation] if operation.begun < 10 else [])  # type: ignore[arg-type]
    all_faults = [kill, *(Fault(**fault) for fault in faults)]  # type: ignore[arg-type]
    ledger = [{"tenant": "t", "outcome": "lost", "at": lost_at}] if lost_at else []
    return [
        took
        for _, _, took in RecoveryTimes.group(
            all_faults, [operation, *others], ledger
        ).after_one_kill()
    ]


def test_an_operation_during_one_kill_is_measured_from_the_end_of_the_kill() -> None:
    assert recovery_seconds(operation()) == [1.0]
    assert recovery_seconds(operation(ended=18.0)) == [6.0]
    assert recovery_seconds(operation(ended=0.0)) == [float("inf")]


def test_an_operation_started_during_a_fault_is_measured_too() -> None:
    assert recovery_seconds(operation(begun=11.0)) == [1.0]
    assert recovery_seconds(operation(begun=12.5)) == []


@pytest.mark.parametrize("at", [9.5, 12.5])
def test_an_operation_with_a_second_fault_is_not_measured(at: float) -> None:
    other = {"kind": "connections cut", "is_kill": False, "at": at, "recovered": at + 0.1}

    assert recovery_seconds(operation(), faults=(other,)) == []


def test_a_fault_after_the_deadline_excuses_nothing() -> None:
    other = {"kind": "connections cut", "is_kill": False, "at": 17.5, "recovered": 17.6}

    assert recovery_seconds(operation(ended=18.0), faults=(other,)) == [6.0]


def test_operations_that_lost_an_answer_were_superseded_or_failed_are_not_measured() -> None:
    assert recovery_seconds(operation(), lost_at=12.5) == []
    assert recovery_seconds(operation(), operation(begun=12.2)) == []
    assert recovery_seconds(operation(status="failed")) == []
    assert recovery_seconds(operation(kind="mistake")) == []
