"""Without aiodocker everything else works, and who asks for docker is told what to install."""

import subprocess
import sys
from pathlib import Path

WITHOUT = """
import sys

sys.modules["aiodocker"] = None
from landlord_engines_core import cli
from landlord_engines_core.compute import docker

sys.argv[1:] = ["--engine=stepfunctions", f"--config={sys.argv[1]}"]
cli.main()
"""


def test_docker_without_its_extra_names_the_line_that_installs_it(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("compute: {docker: {image: x}}")

    process = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(config)], capture_output=True, text=True, check=False
    )

    assert process.returncode == 2
    assert "the compute engine docker needs aiodocker, which is not installed" in process.stderr
    assert "pip install 'landlord-engines-core[docker]'" in process.stderr


def test_docker_with_wrong_settings_names_the_key(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("compute: {docker: {policy: {privilegd: true}}}")
    command = "import sys; from landlord_engines_core.cli import main; main()"
    arguments = ["--engine=stepfunctions", f"--config={config}", "check"]

    process = subprocess.run(
        [sys.executable, "-c", command, *arguments], capture_output=True, text=True, check=False
    )

    assert process.returncode == 2
    assert "policy.privilegd is unknown" in process.stderr
    assert "correct each setting in its source" in process.stderr
