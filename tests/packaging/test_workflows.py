"""The workflow that publishes runs pinned code, with no more rights than each part needs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXT = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.name))
def test_each_action_is_pinned_by_its_digest_and_names_its_version(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))

    assert used
    assert [
        use for use in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)
    ] == []


def test_each_job_has_only_the_rights_that_it_needs_and_none_has_a_secret() -> None:
    workflow: Any = yaml.safe_load(TEXT)

    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        "build": {"contents": "read"},
        "attest": {"attestations": "write", "id-token": "write"},
        "publish": {"id-token": "write"},
        "announce": {"contents": "write"},
    }
    assert workflow["jobs"]["publish"]["environment"] == "pypi"
    assert "secrets." not in TEXT


def test_what_builds_a_release_is_pinned_with_hashes_to_the_tested_versions() -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = {line.partition(" ;")[0] for line in constraints}
    requirements = (ROOT / "release" / "requirements.txt").read_text(encoding="utf-8")

    pinned = re.findall(
        r"(?m)^(\S+)[^\\\n]*((?: \\\n    --hash=sha256:[0-9a-f]{64})*)$", requirements
    )

    assert len(pinned) > 40
    assert [name for name, hashes in pinned if not hashes or name not in tested] == []
