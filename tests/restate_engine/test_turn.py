"""What a turn's state tells; how it changes is tried against a real restate-server."""

import json

from landlord_engines_core import codec
from landlord_engines_core.models import Note, Placement, Record, Transition
from landlord_engines_restate.rivals import Holder
from landlord_engines_restate.turn import TurnState

JOB = Holder(execution_id="inv_job", since="t")
NOTE = Note(operation="update", started_at="t", placement=Placement("mock"))
ENDED = Record().ended(
    Transition(execution_id="inv_job", operation="update", started_at="t", ended_at="u")
)


def test_the_state_that_the_first_version_wrote_is_read() -> None:
    raw = json.dumps({"holder": {"execution_id": "inv_job", "since": "t"}, "record": {}}).encode()

    assert codec.loads(raw, TurnState) == TurnState(holder=JOB)


def test_a_job_that_has_yet_to_end_is_not_over() -> None:
    running = TurnState(holder=JOB, record=Record().begun("inv_job", NOTE))

    assert not running.is_over("inv_job")
    assert running.rival("inv_job") == ""
    assert running.rival("inv_other") == "inv_job"


def test_after_its_last_job_a_tenant_may_be_settled_and_after_no_other() -> None:
    over = TurnState(holder=JOB, record=ENDED)

    assert over.rival("inv_job") == ""
    assert over.rival("inv_other") == "inv_job"


def test_a_tenant_that_is_forgotten_may_be_settled() -> None:
    assert TurnState().rival("inv_job") == ""
    assert TurnState().is_over("inv_job")


def test_the_end_of_what_runs_is_awaited_once() -> None:
    settling = Holder(execution_id="inv_settle", since="t", settles=True)
    running = TurnState(holder=JOB, record=Record().begun("inv_job", NOTE))
    over = TurnState(holder=JOB, record=ENDED, settling=settling)

    assert running.awaits("inv_job")
    assert not over.awaits("inv_job")
    assert over.awaits("inv_settle")
    assert not TurnState(holder=JOB, record=ENDED).awaits("inv_settle")
