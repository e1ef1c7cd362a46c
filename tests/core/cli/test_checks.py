"""The output of ``landlord-host move`` for a report."""

import pytest

from landlord_engines_core.cli.checks import _print_move
from landlord_engines_core.engine import MoveOutcome, MoveReport, MoveResult
from landlord_engines_core.errors import DeploymentInUse

RESULTS = (
    MoveResult(
        execution_id="inv_1",
        what="TenantProvisioning/execute",
        tenant="acme",
        state="backing-off",
        outcome=MoveOutcome.MOVED,
    ),
    MoveResult(
        execution_id="inv_2",
        what="TenantProvisioning/execute",
        tenant="acme",
        state="running",
        outcome=MoveOutcome.RUNNING,
        detail="run this again",
    ),
)


def report(*results: MoveResult, remaining: int = 0) -> MoveReport:
    return MoveReport(old="http://old", latest="http://new", moves=results, remaining=remaining)


def test_each_execution_has_a_line_and_an_old_version_in_use_is_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(DeploymentInUse, match="executions that still need http://old: 1"):
        _print_move(report(*RESULTS, remaining=1), dry_run=False)

    assert capsys.readouterr().out == (
        "moved    TenantProvisioning/execute  tenant 'acme'  inv_1  was backing-off\n"
        "running  TenantProvisioning/execute  tenant 'acme'  inv_2  was running: run this again\n"
        "from http://old to http://new: 1 moved, 1 running\n"
    )


def test_an_old_version_that_nothing_needs_can_be_removed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _print_move(report(), dry_run=False)

    assert capsys.readouterr().out == (
        "from http://old to http://new: none found\n"
        "nothing needs http://old any more: you can remove it\n"
    )


def test_a_dry_run_says_that_nothing_was_changed(capsys: pytest.CaptureFixture[str]) -> None:
    _print_move(report(*RESULTS, remaining=2), dry_run=True)

    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("dry run, nothing was changed; from http://old to http://new: 1 moved")
