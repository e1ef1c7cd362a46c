"""A report of vulnerabilities fails the release, and one of an unreachable database says so."""

import json

import pytest

from release.bills import read_audit
from release.programs import ReleaseFailed

GOOD = {"name": "click", "version": "8.5.1", "vulns": []}


def report(*dependencies: object) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def test_a_known_vulnerability_is_named_with_its_package() -> None:
    bad = {"name": "jinja2", "version": "2.10", "vulns": [{"id": "PYSEC-2019-217"}]}

    with pytest.raises(ReleaseFailed, match=r"vulnerabilities: jinja2 2\.10: PYSEC-2019-217$"):
        read_audit(report(GOOD, bad))


def test_packages_that_the_database_knows_and_clears_are_counted() -> None:
    assert read_audit(report(GOOD, GOOD)) == "2 packages without a known vulnerability"


def test_packages_without_an_answer_are_not_called_audited() -> None:
    skipped = {"name": "attrs", "skip_reason": "not on PyPI"}

    assert read_audit(report(GOOD, skipped)).startswith("NOT AUDITED, 1 of 2")
