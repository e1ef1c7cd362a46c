"""The command `landlord-host conformance`: the kit without a file of the author."""

import json
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from landlord_engines_core.conformance.rules import Kind
from landlord_engines_core.conformance.verdicts import Verdict
from landlord_engines_core.errors import NotConformant, SettingsError

__all__ = ["judge_report", "run_kit"]

PLUGIN = "landlord_engines_core.conformance.plugin"

_MODULE = """\
from landlord_engines_core.conformance import {suite}


class TestEngine({suite}):
    engine = {name!r}
    settings = {settings!r}
"""

_SUITES = {Kind.WORKER: "WorkerEngineSuite", Kind.COMPUTE: "ComputeEngineSuite"}


def run_kit(
    kind: Kind,
    name: str,
    settings: Mapping[str, str],
    *,
    reports: Path | None,
    arguments: tuple[str, ...],
) -> None:
    """Test an engine with the rules of its kind.

    Args:
        kind: The engine's kind.
        name: The name of its entry point.
        settings: Its settings by key.
        reports: The folder for the JSON report, if one is wanted.
        arguments: Further arguments of pytest.

    Raises:
        NotConformant: The engine does not keep every MUST, or a rule did not run.
        SettingsError: pytest is not installed.
    """
    if find_spec("pytest") is None:
        raise SettingsError(
            "the conformance kit needs pytest, which is not installed",
            hint="pip install 'landlord-engines-core[conformance]'",
        )
    with TemporaryDirectory(prefix="landlord-conformance-") as folder:
        module = _MODULE.format(suite=_SUITES[kind], name=name, settings=dict(settings))
        _run_pytest(Path(folder), module, arguments)
        path = Path(folder) / "reports" / f"{kind}-{name}.json"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    if reports is not None and text:
        reports.mkdir(parents=True, exist_ok=True)
        (reports / path.name).write_text(text, encoding="utf-8")
    judge_report(kind, name, text)


def _run_pytest(folder: Path, text: str, arguments: tuple[str, ...]) -> None:
    import pytest  # noqa: PLC0415  # only the extra brings it

    module = folder / "test_conformance.py"
    # Settings may hold secrets: only this user reads the folder.
    module.write_text(text, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    # Of an earlier run in this process.
    sys.modules.pop(module.stem, None)
    pytest.main(
        [
            # No plugins and settings of the environment or of the folder where the command is called.
            *("--disable-plugin-autoload", "-p", PLUGIN, "-p", "no:cacheprovider"),
            *("-c", str(folder / "pytest.ini"), "--rootdir", str(folder)),
            *("--conformance-reports", str(folder / "reports"), "-q", str(module)),
            *arguments,
        ]
    )


def judge_report(kind: Kind, name: str, report: str) -> None:
    """Judge an engine by its JSON report; empty if no rule ran.

    Raises:
        NotConformant: The engine does not keep every MUST, or a rule did not run.
    """
    verdict = Verdict(json.loads(report)["verdict"]) if report else Verdict.INCOMPLETE
    if not verdict.is_conformant:
        raise NotConformant(
            f"{kind} engine {name} is {verdict}",
            hint="each rule is in docs/engine-contract.md or docs/compute-contract.md",
        )
