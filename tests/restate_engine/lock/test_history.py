import json

from landlord_engines_core.engine import JobState, OpenJob
from landlord_engines_core.models import HISTORY_LIMIT, Transition
from landlord_engines_restate.lock.history import append_lines, render_history


def transition(number: int, detail: str = "") -> Transition:
    return Transition(
        execution_id=str(number), operation="update", started_at="t", ended_at="u", detail=detail
    )


def test_ended_and_open_transitions_are_shown_oldest_first() -> None:
    lines = append_lines(append_lines(b"", [transition(1)]), [transition(2)])

    ids = [
        transition_shown["execution_id"]
        for transition_shown in json.loads(render_history(lines, [transition(3)]))
    ]

    assert ids == ["1", "2", "3"]


def test_a_job_that_has_not_ended_is_shown_with_its_transition() -> None:
    job = OpenJob(execution_id="2", state=JobState.HELD, code="LE402")

    first, second = json.loads(render_history(b"", [transition(1), transition(2)], [job]))

    assert "job" not in first
    assert (second["job"]["state"], second["job"]["code"]) == ("held", "LE402")


def test_an_empty_history_is_an_empty_list() -> None:
    assert render_history(b"", []) == b"[]"
    assert append_lines(b"", []) == b""


def test_only_the_last_transitions_are_kept_and_shown() -> None:
    lines = append_lines(b"", [transition(number) for number in range(HISTORY_LIMIT + 5)])

    ids = [
        transition_shown["execution_id"]
        for transition_shown in json.loads(render_history(lines, [transition(99)]))
    ]

    assert len(lines.splitlines()) == HISTORY_LIMIT
    assert len(ids) == HISTORY_LIMIT
    assert ids[-1] == "99"


def test_a_line_break_in_a_text_is_escaped() -> None:
    lines = append_lines(b"", [transition(1, "a\nb\r\x85\u2028c")])

    assert len(lines.splitlines()) == 1
    assert json.loads(render_history(lines, []))[0]["detail"] == "a\nb\r\x85\u2028c"
