"""The commands of the pages for a first engine in their order, in an environment of their own."""

import asyncio
import os
import subprocess
import sys
import sysconfig
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from landlord_engines_core.conformance.command import PLUGIN
from landlord_test_target.tutorials import write_script


@pytest.fixture
def environment(wheels: Path, tmp_path: Path) -> dict[str, str]:
    """The variables of a new environment. It sees the packages of this one, as if pip had fetched them."""
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    outer = sysconfig.get_paths()["purelib"]
    (site / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
    # Over the core of the outer environment, which pip would count as installed.
    (core,) = wheels.glob("landlord_engines_core-*.whl")
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed", str(core))
    subprocess.run([folder / "bin" / "python", *install], check=True)
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PIP_", "PYTHON", "PYTEST_"))
    }
    return {
        **inherited,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        # pip fetches nothing: all that the page's packages need is there.
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        # pip turns the value of this one around.
        "PIP_NO_BUILD_ISOLATION": "0",
        # Plugins of the outer environment would warn about settings that the page does not need.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": f"-p {PLUGIN} -p no:cacheprovider",
    }


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "page"),
    [("worker", "docs/first-engine.md"), ("compute", "docs/first-compute-engine.md")],
)
async def test_the_commands_of_the_page_lead_to_a_wheel_that_conforms(
    kind: str, page: str, environment: dict[str, str], tmp_path: Path
) -> None:
    script = write_script(page)
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", script), cwd=tmp_path, env=environment, stdout=PIPE, stderr=STDOUT
    )

    output, _ = await process.communicate()

    text = output.decode()
    assert process.returncode == 0, text
    verdicts = [line for line in text.splitlines() if line.startswith(f"{kind} engine mine:")]
    assert [verdict.split(":")[1].split("(")[0].strip() for verdict in verdicts] == [
        "incomplete",
        "conformant",
    ]
