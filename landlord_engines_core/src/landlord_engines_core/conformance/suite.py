"""The suites that an author's test module subclasses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from landlord_engines_core.conformance.collecting import write_result
from landlord_engines_core.conformance.compute.bench import Target
from landlord_engines_core.conformance.marks import RESULT
from landlord_engines_core.conformance.report import Engine
from landlord_engines_core.conformance.rulebook import RULES, find_rule
from landlord_engines_core.conformance.rules import Kind
from landlord_engines_core.conformance.run import check_rule
from landlord_engines_core.conformance.subject import Subject
from landlord_engines_core.conformance.verdicts import Outcome, Result
from landlord_engines_core.conformance.waivers import Waiver

__all__ = ["ComputeEngineSuite", "EngineSuite", "WorkerEngineSuite"]


class EngineSuite:
    """The rules of one engine, each a test.

    Attributes:
        engine: The name of the engine's entry point.
        settings: The engine's settings by key, if it needs some; those of a worker engine are texts.
        waivers: The reasons for which the engine does not keep a SHOULD.
        patience: Seconds after which an event that has to come counts as missing, for slow backends.
        incomplete: The reason for which some rules cannot run yet. Their tests are skipped then, and
            the verdict stays *incomplete*. Without a reason such a test fails.
    """

    __test__ = False
    kind: ClassVar[Kind]
    engine: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    waivers: ClassVar[tuple[Waiver, ...]] = ()
    patience: ClassVar[float] = 60.0
    incomplete: ClassVar[str] = ""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.__test__ = hasattr(cls, "engine")

    def target(self, folder: Path) -> Target | None:
        """Return the view of a compute engine's target for one test, with a folder of the test's own."""
        _ = folder
        return None

    def test_waivers_name_rules(self) -> None:
        """Each waiver names another rule of this kind of engine."""
        names = [waiver.rule for waiver in self.waivers]
        unknown = set(names) - {rule.id for rule in RULES[self.kind]}
        assert not unknown, f"no such rule: {', '.join(sorted(unknown))}"
        assert len(names) == len(set(names)), "one waiver for each rule"

    def check(self, rule_id: str, folder: Path, record: Any) -> None:
        """Test one rule, and record the result for the report."""
        target = self.target(folder / "target")
        subject = Subject(
            kind=self.kind,
            name=self.engine,
            folder=folder,
            settings=self.settings if target is None else target.settings,
            patience=self.patience,
            target=target,
        )
        waiver = next((waiver for waiver in self.waivers if waiver.rule == rule_id), None)
        candidate = subject.find()
        rule = find_rule(self.kind, rule_id)
        result = check_rule(rule, subject, waiver)
        engine = Engine(
            kind=self.kind,
            name=self.engine,
            distribution=candidate.distribution,
            version=candidate.version,
            target=candidate.target,
        )
        record(RESULT, write_result(engine, result))
        if result.outcome is Outcome.COULD_NOT_RUN and self.incomplete:
            pytest.skip(f"{rule.id} could not run: {self.incomplete}")
        _end_test(f"{rule.id} {rule.level}: {rule.text}", result)


class WorkerEngineSuite(EngineSuite):
    """The rules of a worker engine, each a test."""

    kind = Kind.WORKER

    @pytest.mark.parametrize("rule", [rule.id for rule in RULES[Kind.WORKER]])
    def test_rule(self, rule: str, tmp_path: Path, record_property: Any) -> None:
        """Test one rule."""
        self.check(rule, tmp_path, record_property)


class ComputeEngineSuite(EngineSuite):
    """The rules of a compute engine, each a test. Override `target` for the live tier."""

    kind = Kind.COMPUTE

    @pytest.mark.parametrize("rule", [rule.id for rule in RULES[Kind.COMPUTE]])
    def test_rule(self, rule: str, tmp_path: Path, record_property: Any) -> None:
        """Test one rule."""
        self.check(rule, tmp_path, record_property)


def _end_test(rule: str, result: Result) -> None:
    """End a test as its rule's result demands."""
    if result.outcome is Outcome.WAIVED:
        pytest.xfail(f"{rule} waived: {result.note}")
    if result.outcome is Outcome.NOT_APPLICABLE:
        pytest.skip(f"{rule} does not apply: {result.note}")
    if result.outcome is not Outcome.PASSED:
        story = "".join(f"\n  {line}" for line in result.story)
        pytest.fail(f"{rule}\n{result.outcome}: {result.note}{story}", pytrace=False)
