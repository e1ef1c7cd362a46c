import json

from landlord_engines_core.models import HISTORY, Transition
from landlord_engines_restate.history import added, shown
from landlord_engines_restate.open_jobs import JobState, OpenJob


def transition(number: int, detail: str = "") -> Transition:
    return Transition(
        execution_id=str(number), operation="update", started_at="t", ended_at="u", detail=detail
    )


def test_what_is_added_is_shown_oldest_first_with_what_is_not_over_yet() -> None:
    lines = added(added(b"", [transition(1)]), [transition(2)])

    ids = [one["execution_id"] for one in json.loads(shown(lines, [transition(3)]))]

    assert ids == ["1", "2", "3"]


def test_a_job_that_has_not_ended_is_shown_with_its_transition() -> None:
    job = OpenJob(execution_id="2", state=JobState.HELD, code="LE402")

    first, second = json.loads(shown(b"", [transition(1), transition(2)], [job]))

    assert "job" not in first
    assert (second["job"]["state"], second["job"]["code"]) == ("held", "LE402")


def test_nothing_is_an_empty_list() -> None:
    assert shown(b"", []) == b"[]"
    assert added(b"", []) == b""


def test_only_the_last_ones_are_kept_and_shown() -> None:
    lines = added(b"", [transition(number) for number in range(HISTORY + 5)])

    shown_ids = [one["execution_id"] for one in json.loads(shown(lines, [transition(99)]))]

    assert len(lines.splitlines()) == HISTORY
    assert len(shown_ids) == HISTORY
    assert shown_ids[-1] == "99"


def test_a_line_break_in_a_text_breaks_no_line() -> None:
    lines = added(b"", [transition(1, "a\nb\r\x85\u2028c")])

    assert len(lines.splitlines()) == 1
    assert json.loads(shown(lines, []))[0]["detail"] == "a\nb\r\x85\u2028c"
