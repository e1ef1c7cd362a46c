"""What a scripted job and its resync note, on steps in memory."""

from pathlib import Path

import attrs

from landlord_engines_core.conformance.live.jobs import ScriptedJobs
from landlord_engines_core.conformance.live.ledger import Ledger, render_story
from landlord_engines_core.conformance.live.scripts import Script
from landlord_engines_core.models import CompletedJob, ExecutionState
from landlord_test_target.in_memory import InMemorySteps


def test_a_body_is_read_as_it_was_written_and_is_no_plain_json() -> None:
    script = Script(job="a", tenant="\u00e9", apply=(1.5, 0.0), fail=("held",))

    body = script.body()

    assert Script.read(body) == script
    assert body.startswith(b" {")
    assert b"\\u00e9" in body
    assert body.endswith(b"\r\n")


async def test_a_resync_that_a_job_supersedes_ends_without_a_repair(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    script = attrs.asdict(Script(job="a", tenant="t", resync=1.0))
    ledger.write("dispatched", job="a", execution="one", script=script)
    ended = CompletedJob(tenant="t", execution_id="one", operation="update")

    done = await ScriptedJobs(ledger=ledger, worker=0).resync(ended, InMemorySteps(superseded=True))

    assert done.answer.state is ExecutionState.SUCCEEDED
    assert [entry.event for entry in ledger.read(job="a")][-2:] == [
        "resync superseded",
        "resync ends",
    ]


def test_a_story_tells_who_did_what_and_when(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    assert render_story(ledger.read()) == []
    ledger.write("dispatched", job="a")
    ledger.write("started", worker=1, at_port=7)

    first, second = render_story(ledger.read())

    assert first.endswith("dispatched of job a")
    assert "test" in first
    assert second.endswith("started at_port=7")
    assert "worker 1" in second
