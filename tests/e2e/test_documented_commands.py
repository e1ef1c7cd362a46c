"""Every command in a `sh` block of the documents runs against real servers.

An output that a document shows is compared with the real one.

The test replaces the addresses in a command with its own and runs the rest of each line unchanged. A
command without a rule here fails.
"""

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest_asyncio
import trustme

from landlord_test_target.documents import OWN_TESTS, read_commands, reduce_output
from landlord_test_target.harness import Harness, free_port

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "SECURITY.md",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))),
    *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("*/README.md"))),
    *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("examples/*/README.md"))),
)
BIN = Path(sys.executable).parent
RUNS_UNTIL_SIGNAL = re.compile(r"landlord-host --engine \S+( dev)?$")
"""Commands that run until a signal ends them."""

NOX = re.compile(r"^nox\b|(?<=&& )nox\b")
"""A nox session is only looked up, because nox itself runs these tests."""

SESSIONS = re.compile(r"nox -s ([-\w. ]+?)( -- .*)?")
"""Commands that name sessions; all of them are looked up at once."""


@attrs.frozen(kw_only=True)
class Reader:
    """A reader who runs the documented commands on a machine with all servers.

    Attributes:
        old: The URL of a worker's version that is no longer the latest.
    """

    harness: Harness
    old: str
    tenant: str
    wheels: Path
    folder: Path

    async def run(self, command: str) -> str:
        """Run a command with this test's addresses in place of the reader's."""
        process = await self._start(command)
        if RUNS_UNTIL_SIGNAL.fullmatch(command):
            await _wait_output(
                process, "Ctrl-C ends" if command.endswith(" dev") else '"state": "registered"'
            )
            os.killpg(process.pid, signal.SIGINT)
        async with asyncio.timeout(120):
            output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()

    async def _start(self, command: str) -> Process:
        return await asyncio.create_subprocess_shell(
            self._with_own_addresses(command),
            env={**os.environ, **self._environment(command)},
            cwd=ROOT if "nox" in command else self.folder,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )

    def _with_own_addresses(self, command: str) -> str:
        restate = self.harness.restate
        replacements = {
            "http://127.0.0.1:8080": restate.endpoint,
            "http://127.0.0.1:9070": restate.admin_endpoint,
            "http://127.0.0.1:9082": self.harness.workers[0].probe_url,
            "http://worker-v1:9080": self.old,
            "/etc/ssl/private-ca.pem": str(self.folder / "ca.pem"),
            "UUID": self.tenant,
            "TenantProvisioning": self.harness.service,
            "curl ": "curl --silent --show-error --fail ",
        }
        for documented, own in replacements.items():
            command = command.replace(documented, own)
        exact = NOX.sub("nox --list", command)
        # A signal has to reach the command itself and not a shell around it.
        return f"exec {exact}" if RUNS_UNTIL_SIGNAL.fullmatch(exact) else exact

    def _environment(self, command: str) -> Mapping[str, str]:
        config = self.harness.workers[0].config
        section = config["workflow"]["restate"]
        # A command about a worker needs that worker's engines, because its manifest names them.
        compute = json.dumps(config["compute"])
        worker = {f"WORKFLOW_RESTATE_{key.upper()}": str(value) for key, value in section.items()}
        if RUNS_UNTIL_SIGNAL.fullmatch(command):
            worker["WORKFLOW_RESTATE_WORKER_ADDRESS"] = f"127.0.0.1:{free_port()}"
            compute = '{"mock": {}}'
        return {
            **worker,
            "WORKER_PROBE_ADDRESS": "127.0.0.1:0",
            "COMPUTE": compute,
            "LOG_FORMAT": "json",
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "TMPDIR": str(self.folder),
            # pip finds the wheels to install, and does not change this environment.
            "PIP_DRY_RUN": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
        }


async def _wait_output(process: Process, text: str) -> None:
    assert process.stdout is not None
    output = b""
    async with asyncio.timeout(60):
        while text.encode() not in output:
            line = await process.stdout.readline()
            assert line, output.decode()
            output += line


@pytest_asyncio.fixture(loop_scope="session")
async def reader(dedicated_harness: Harness, wheels: Path, tmp_path: Path) -> Reader:
    old = await dedicated_harness.worker()
    await dedicated_harness.worker()
    dedicated_harness.workers.reverse()
    tenant = dedicated_harness.tenant()
    for operation, version in (("provision", 1), ("provision", 1), ("update", 2)):
        await dedicated_harness.run(tenant, operation, version=version)
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    address = old.config["workflow"]["restate"]["worker_address"]
    return Reader(
        harness=dedicated_harness,
        old=f"http://{address}",
        tenant=tenant,
        wheels=wheels,
        folder=tmp_path,
    )


async def test_every_documented_command_succeeds_with_the_documented_output(
    reader: Reader,
) -> None:
    documents = [document for document in DOCUMENTS if document not in OWN_TESTS]
    commands = [command for document in documents for command in read_commands(document)]
    assert {"README.md", "docs/operating/run.md"} <= {command.document for command in commands}
    outputs = {command.command: command.output for command in commands}
    sessions = [match[1] for command in outputs if (match := SESSIONS.fullmatch(command))]
    await reader.run(f"nox -s {' '.join(sessions)}")
    outputs = {key: output for key, output in outputs.items() if not SESSIONS.fullmatch(key)}
    for command, output in outputs.items():
        printed = await reader.run(command)
        if RUNS_UNTIL_SIGNAL.fullmatch(command):
            # The worker that has just ended was the latest. Without a new latest, Restate answers no request.
            await reader.run("landlord-host --engine restate register --make-latest")
        # tests/e2e/test_move.py compares the output of `move` for each kind of job.
        if output and " move " not in command:
            assert reduce_output(output) == reduce_output(printed), command
