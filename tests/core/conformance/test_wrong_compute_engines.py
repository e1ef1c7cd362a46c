"""The kit's own proof for compute engines, around the example engine of a page."""

import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from landlord_engines_core.conformance.compute.bench import ComputeBench
from landlord_engines_core.conformance.rulebook import RULES, find_rule
from landlord_engines_core.conformance.rules import Kind, Rule, Tier
from landlord_engines_core.conformance.run import check_rule
from landlord_engines_core.conformance.subject import Subject
from landlord_engines_core.conformance.verdicts import Outcome
from landlord_test_target.compute_targets.folder import FolderTarget
from landlord_test_target.wrong_engines.compute import WRONG

RIGHT = "right-folder"


class WithoutSecret(FolderTarget):
    """A view with nothing secret in its configurations."""

    def secret_config(self, secret: str) -> dict[str, Any]:
        return self.config(1)


def subject(
    engine: str,
    folder: Path,
    kind: type[FolderTarget] = FolderTarget,
    *,
    kills: int = 2,
    drifts: tuple[str, ...] = ("removed", "changed"),
) -> Subject:
    target = kind(folder=folder / "tenants", kills=kills, drifts=drifts)
    return Subject(
        kind=Kind.COMPUTE, name=engine, folder=folder, settings=target.settings, target=target
    )


def name(rule: Rule) -> str:
    return rule.id


def test_there_is_a_wrong_engine_for_each_rule_and_no_other() -> None:
    assert set(WRONG) == {rule.id for rule in RULES[Kind.COMPUTE]}


def choose(rule: Rule) -> object:
    """Choose the rules of a plain run: of the three kills of a call, that of a provision."""
    marks = [pytest.mark.long] if rule.id in ("CUT-2", "CUT-3") else []
    return pytest.param(rule, id=rule.id, marks=marks)


@pytest.mark.parametrize("rule", [choose(rule) for rule in RULES[Kind.COMPUTE]])
def test_a_wrong_engine_fails_its_rule(rule: Rule, tmp_path: Path) -> None:
    # Each kill hits with a chance of about two thirds.
    result = check_rule(rule, subject(rule.id.lower(), tmp_path, kills=8))

    assert result.outcome is Outcome.FAILED, result
    assert result.story or rule.tier is not Tier.LIVE


@pytest.mark.parametrize("rule", RULES[Kind.COMPUTE], ids=name)
def test_the_right_engine_keeps_the_rule(rule: Rule, tmp_path: Path) -> None:
    result = check_rule(rule, subject(RIGHT, tmp_path))

    assert result.outcome is Outcome.PASSED, "\n".join((result.note, *result.story))


@pytest.mark.parametrize(
    ("engine", "rule", "outcome", "note"),
    [
        ("mod-1", "SCH-1", Outcome.COULD_NOT_RUN, "the engine cannot be loaded: LE205"),
        ("mod-1", "ACT-1", Outcome.COULD_NOT_RUN, "the engine cannot be loaded: LE205"),
        ("picky", "SCH-1", Outcome.FAILED, "the engine refuses the suite's configuration"),
        ("refusing", "ACT-2", Outcome.FAILED, "the engine refuses the suite's configuration"),
        ("unhealthy", "ACT-4", Outcome.FAILED, "another process does not find"),
        ("stubborn", "ACT-3", Outcome.FAILED, "10 calls of destroy returned"),
        ("blind", "DRI-1", Outcome.FAILED, "does not repair the drift"),
        ("mock", "PIN-2", Outcome.PASSED, "a part of core"),
        ("busy", "ACT-1", Outcome.PASSED, ""),
        ("locking", "LATE-1", Outcome.PASSED, " of 2 deletes waited"),
        ("always-busy", "ACT-1", Outcome.FAILED, "the engine ended the process with exit code 1"),
        ("broken", "ACT-1", Outcome.FAILED, "the engine ended the process with exit code 1"),
        ("broken", "PAR-2", Outcome.FAILED, "provision of two processes at once failed"),
    ],
)
def test_a_rules_test_says_what_it_saw(
    engine: str, rule: str, outcome: Outcome, note: str, tmp_path: Path
) -> None:
    result = check_rule(find_rule(Kind.COMPUTE, rule), subject(engine, tmp_path))

    assert result.outcome is outcome, result
    assert note in result.note


def test_the_story_numbers_each_process_as_its_folder(tmp_path: Path) -> None:
    tested = subject(RIGHT, tmp_path)
    with closing(ComputeBench(subject=tested, target=tested.target)) as bench:
        call = bench.call("inspect", bench.tenant("abcdefghijkl"))
        bench.run(call)
        folder = bench.start(call).folder

    assert folder.name == "process-2"
    assert [line for line in bench.story if line.startswith("process")] == [
        "process 1 calls: inspect 'abcdefghijkl'",
        "process 2 begins: inspect 'abcdefghijkl'",
    ]


@pytest.mark.parametrize(("count", "noun"), [(0, "resources"), (1, "resource")])
def test_the_story_counts_the_resources_of_a_tenant(count: int, noun: str, tmp_path: Path) -> None:
    tested = subject(RIGHT, tmp_path)
    with closing(ComputeBench(subject=tested, target=tested.target)) as bench:
        tenant = bench.tenant("abcdefghijkl")
        bench.run(*[bench.call("provision", tenant)] * count)
        bench.list_resources(tenant)

    assert bench.story[-1] == f"  the target has {count} {noun} of tenant 'abcdefghijkl'"


def test_a_frozen_process_does_not_outlive_its_failed_test(tmp_path: Path) -> None:
    tested = subject(RIGHT, tmp_path)
    bench = ComputeBench(subject=tested, target=tested.target)
    with closing(bench):
        frozen = bench.start(bench.call("provision", bench.tenant()))
        frozen.send_signal(signal.SIGSTOP)

    assert frozen.process.exitcode is not None


def test_a_test_with_nothing_to_run_over_could_not_run(tmp_path: Path) -> None:
    no_drifts = subject(RIGHT, tmp_path, drifts=())
    no_secret = subject(RIGHT, tmp_path, WithoutSecret)
    no_target = attrs.evolve(no_drifts, target=None)

    for rule, tested in (("DRI-1", no_drifts), ("SEC-1", no_secret), ("ACT-1", no_target)):
        result = check_rule(find_rule(Kind.COMPUTE, rule), tested)
        assert result.outcome is Outcome.COULD_NOT_RUN, result
    assert check_rule(find_rule(Kind.COMPUTE, "SCH-1"), no_target).outcome is Outcome.PASSED
