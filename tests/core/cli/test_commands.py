"""What the light commands import, and what that takes."""

import os
import resource
import subprocess
import sys

import pytest

RUN = """
import atexit, sys
from landlord_engines_core.cli import main

def name_modules():
    print(*sys.modules, file=sys.stderr)

if sys.argv.pop(1) == "name-modules":
    atexit.register(name_modules)
main()
"""
HEAVY = {
    *("aiohttp", "asyncio", "cattrs", "jsonschema", "ruamel.yaml", "structlog", "yaml"),
    *("landlord_engines_core.host", "landlord_engines_core.settings", "landlord_engines_restate"),
}


def run_python(*arguments: str) -> tuple[float, str]:
    """Run an interpreter, and return its processor time and what it wrote to standard error."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("COV")},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    time = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time, done.stderr


@pytest.mark.parametrize("command", ["--help", "--version", "engines"])
def test_a_light_command_imports_neither_the_host_nor_its_libraries(command: str) -> None:
    _, modules = run_python(RUN, "name-modules", command)

    assert "landlord_engines_core.cli.commands" in modules.split()
    assert not HEAVY & set(modules.split())


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("--help", "import click"),
        ("--version", "import click"),
        # Each reader of installed distributions needs it, and it imports more than click does.
        ("engines", "import click, importlib.metadata"),
    ],
)
def test_a_light_command_takes_at_most_twice_the_time_of_what_it_must_import(
    command: str, part: str
) -> None:
    # Side by side, since other processes make all of them slower; the least is the least disturbed.
    times = [(run_python(RUN, "", command)[0], run_python(part)[0]) for _ in range(9)]

    assert min(whole for whole, _ in times) <= 2 * min(least for _, least in times)
