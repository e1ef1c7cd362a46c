"""The version of the engine that a worker runs."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from landlord_engines_core.host.run import find_version
from landlord_engines_stepfunctions_stub import factory
from landlord_test_target.installing import write_distribution


def test_of_two_engines_of_one_name_the_loaded_one_has_its_own_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("acme_second")
    module.factory = factory  # type: ignore[attr-defined]
    for name, version in (("acme-first", "1.0"), ("acme-second", "2.5")):
        target = f"{name.replace('-', '_')}:factory"
        write_distribution(tmp_path, name, {"stepfunctions": target})
        metadata = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info" / "METADATA"
        metadata.write_text(metadata.read_text().replace("Version: 1.0", f"Version: {version}"))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setitem(sys.modules, "acme_second", module)

    assert find_version(factory) == "2.5"


def test_a_factory_without_an_entry_point_has_no_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [])

    assert find_version(factory) == ""
