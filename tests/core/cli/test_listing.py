"""The list of installed engines: the problems that it shows, its imports and its processor time."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from landlord_engines_core.catalog import COMPUTE_ENGINES
from landlord_engines_core.cli.commands import landlord_host
from landlord_test_target.installing import link_packages, write_distribution

FINE = "factory = object()"
REPORT = "report it to the authors of acme"
UPGRADE = "upgrade landlord-engines-core, or install another version of acme"
UNINSTALL = "or uninstall all but one of them"


@pytest.fixture(autouse=True)
def _prepend_to_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)


def run_engines(*options: str) -> str:
    result = CliRunner().invoke(landlord_host, ["engines", *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def problems_of(name: str, text: str) -> list[str]:
    """The problems that are shown below an engine."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"  {name} "))
    following = "\n".join(lines[start + 1 :])
    return [line.strip() for line in re.match(r"(?:    .*\n?)*", following)[0].splitlines()]  # type: ignore[index]


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        (
            "landlord.worker_engines.v2",
            f"other-major: this host implements version 1 of the contract; {UPGRADE}",
        ),
        (
            "landlord.worker_engines.v1",
            f"misspelt-group: no host reads the group landlord.worker_engines.v1; hosts read landlord.worker_engines; {REPORT}",
        ),
        (
            "landlord_compute_engines",
            f"misspelt-group: no host reads the group landlord_compute_engines; hosts read landlord.compute_engines; {REPORT}",
        ),
    ],
)
def test_an_engine_in_a_group_that_no_host_reads_is_shown_as_such(
    tmp_path: Path, group: str, problem: str
) -> None:
    write_distribution(tmp_path, "acme", {"mine": "acme:factory"}, FINE, group=group)

    text = run_engines()

    assert f"{group}:\n  mine             acme 1.0  acme:factory\n" in text
    assert problems_of("mine", text) == [problem]


@pytest.mark.parametrize(
    ("name", "target", "problem"),
    [
        (
            "Mine 2",
            "acme:factory",
            f"odd-name: 'Mine 2' does not match [a-z][a-z0-9-]*; {REPORT}",
        ),
        (
            "mine",
            "acme/factory",
            f"bad-target: its target is not module:object; {REPORT}",
        ),
        (
            "mine",
            "acme",
            f"bad-target: its target is not module:object; {REPORT}",
        ),
        ("mine", "gone:factory", "bad-target: its package gone is not installed; reinstall acme"),
        ("mine", "__main__:x", ""),
        ("mine", "acme:no.such.object", ""),
    ],
)
def test_an_odd_name_and_a_bad_target_are_shown(
    tmp_path: Path, name: str, target: str, problem: str
) -> None:
    write_distribution(tmp_path, "acme", {name: target}, FINE)

    assert problems_of(name, run_engines()) == ([problem] if problem else [])


def test_duplicates_are_shown_with_the_option_that_chooses(tmp_path: Path) -> None:
    write_distribution(tmp_path, "acme-one", {"twin": "acme_one:factory"}, FINE)
    write_distribution(tmp_path, "acme-two", {"twin": "acme_two:factory"}, FINE)

    lines = [line for line in run_engines().splitlines() if "duplicate" in line]

    assert lines == 2 * [
        f"    duplicate: several entry points have this name (acme-one 1.0, acme-two 1.0); use --engine acme-one:twin or --engine acme-two:twin, {UNINSTALL}"
    ]


def test_duplicates_among_compute_engines_can_only_be_uninstalled(tmp_path: Path) -> None:
    write_distribution(tmp_path, "acme", {"mock": "acme:factory"}, FINE, group=COMPUTE_ENGINES)

    (problem, _) = [line for line in run_engines().splitlines() if "duplicate" in line]

    assert problem.endswith("; uninstall all but one of them")


def test_an_engine_for_this_version_and_the_next_has_no_problem(tmp_path: Path) -> None:
    write_distribution(tmp_path, "acme", {"mine": "acme:factory"}, FINE)
    points = tmp_path / "acme-1.0.dist-info" / "entry_points.txt"
    points.write_text(f"{points.read_text()}[landlord.worker_engines.v2]\nmine = acme:factory\n")

    entries = [
        entry for entry in json.loads(run_engines("--json"))["engines"] if entry["name"] == "mine"
    ]

    assert [entry["problems"] for entry in entries] == [[], []]


def test_the_document_has_each_field_that_the_page_lists(tmp_path: Path) -> None:
    write_distribution(tmp_path, "acme", {"mine": "gone:factory"})
    info = tmp_path / "bad-2.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[x]\nno equals sign\n")

    document = json.loads(run_engines("--json"))

    assert [entry for entry in document["engines"] if entry["name"] == "mine"] == [
        {
            "group": "landlord.worker_engines",
            "name": "mine",
            "distribution": "acme",
            "version": "1.0",
            "target": "gone:factory",
            "problems": [
                {
                    "kind": "bad-target",
                    "text": "its package gone is not installed",
                    "hint": "reinstall acme",
                }
            ],
        }
    ]
    assert document["damaged"] == [
        {
            "name": "bad",
            "version": "2.0",
            "reason": "its entry_points.txt has a line without '='",
        }
    ]
    page = (Path(__file__).parents[3] / "docs" / "operating" / "commands.md").read_text()
    fields = {*document["engines"][0], *document["damaged"][0], "kind", "text", "hint"}
    assert all(f"`{field}`" in page for field in fields)


def test_a_shell_is_offered_duplicates_with_their_distribution(tmp_path: Path) -> None:
    write_distribution(tmp_path, "acme-one", {"twin": "acme_one:factory"}, FINE)
    write_distribution(tmp_path, "acme-two", {"twin": "acme_two:factory"}, FINE)
    words = {"COMP_WORDS": "landlord-host --engine ", "COMP_CWORD": "2"}

    offered = CliRunner().invoke(
        landlord_host,
        env={"_LANDLORD_HOST_COMPLETE": "bash_complete", **words},
        prog_name="landlord-host",
    )

    assert {"plain,restate", "plain,acme-one:twin", "plain,acme-two:twin"} <= set(
        offered.stdout.splitlines()
    )
    assert "plain,twin" not in offered.stdout.splitlines()


def test_the_wide_list_shows_what_each_engine_declares(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from landlord_test_target.broken import factory_of\nprint('hello')\nfactory = factory_of('mine')"
    write_distribution(tmp_path, "acme", {"mine": "acme:factory"}, code)
    packages = link_packages(tmp_path_factory.mktemp("packages"))
    monkeypatch.setattr(sys, "path", [*packages, str(tmp_path)])

    assert problems_of("mine", run_engines("--wide")) == [
        "contract 1; dry-run-registration full, tenant-lock full",
        f"writes-output: it writes to standard output: 'hello'; {REPORT}",
    ]


MEASURED = """
import sys
import landlord_engines_core.cli.listing
from landlord_engines_core.cli.commands import landlord_host
own = [path for path in sys.path if path.endswith((".zip", "lib-dynload", "/python%d.%d" % sys.version_info[:2]))]
sys.path[:] = [sys.argv[1], *own]
landlord_host(["engines"])
"""
"""Program that runs the command with only the distributions of one folder installed."""


def measure_listing(folder: Path) -> tuple[float, str]:
    """The processor time of the list with only these distributions, and the modules it imports."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    completed = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", MEASURED, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("COV")},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "plugin-0" in completed.stdout
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, completed.stderr


def test_the_list_imports_no_plugin_and_a_distribution_takes_less_than_a_millisecond(
    tmp_path: Path,
) -> None:
    for count in (5, 300):
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            name = f"plugin-{number}"
            points = {f"own-{number}": f"plugin_{number}:factory"}
            write_distribution(folder, name, points, "raise SystemExit('imported')")

    few, _ = measure_listing(tmp_path / "5")
    many, imported = measure_listing(tmp_path / "300")

    assert "landlord_engines_core.catalog" in imported
    assert "plugin_0" not in imported
    assert (many - few) / 295 < 0.001
