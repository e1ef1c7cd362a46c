"""The pytest plugin of the conformance kit: an option, and a report for each engine under test.

pytest imports this module in every run of an environment with the kit. The module imports the rest
only if a suite of the kit ran.
"""

from pathlib import Path

import pytest

from landlord_engines_core.conformance.marks import RESULT

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the folder of the reports."""
    parser.getgroup("landlord conformance").addoption(
        "--conformance-reports",
        metavar="DIR",
        type=Path,
        help="Write a JSON report for each engine under test into this folder.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the results of this run."""
    config.pluginmanager.register(_Collector(config.getoption("--conformance-reports")))


class _Collector:
    """The results of this run, in its main process: with pytest-xdist, the controller."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._results: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a rule's result. A worker of pytest-xdist sends it as a property of the report."""
        if report.when == "call":
            self._results += [str(text) for name, text in report.user_properties if name == RESULT]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show each verdict, and write the reports."""
        if not self._results:
            return
        from landlord_engines_core.conformance.collecting import build_reports  # noqa: PLC0415  # see above
        from landlord_engines_core.conformance.report import write_report  # noqa: PLC0415  # see above

        terminalreporter.section("conformance")
        for report in build_reports(self._results):
            for line in report.lines():
                terminalreporter.write_line(line)
            if self._folder is not None:
                path = write_report(report, self._folder)
                terminalreporter.write_line(f"  report: {path}")
