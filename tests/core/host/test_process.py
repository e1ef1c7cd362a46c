"""The names of engines in reports about the process."""

from pathlib import Path

import pytest

from landlord_engines_core.catalog import COMPUTE_ENGINES
from landlord_engines_core.host.process import name_engines
from landlord_test_target.installing import write_distribution


def test_engines_of_one_module_are_named_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = {"boxes": "acme_pair:boxes", "crates": "acme_pair:crates"}
    write_distribution(tmp_path, "acme-pair", points, group=COMPUTE_ENGINES)
    monkeypatch.syspath_prepend(tmp_path)

    names = name_engines()

    assert names["acme_pair"] == "compute engine boxes or compute engine crates"
    assert names["landlord_engines_restate"] == "worker engine restate"
