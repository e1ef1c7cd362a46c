"""The steps of docs/operating/install.md, in order, with a real restate-server and the tenant's own port."""

import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from landlord_engines_restate.local.binary import server_binary
from landlord_test_target.documents import read_commands
from landlord_test_target.harness import free_port
from landlord_test_target.shell import Shell, open_shell

ROOT = Path(__file__).parents[2]
PAGE = "docs/operating/install.md"
COMMANDS = [command.command for command in read_commands("docs/operating/install.md")]
ENVIRONMENT, INSTALL = COMMANDS[:2], COMMANDS[2]
SERVERS = {
    "restate-server": "Partition 0 started",
    "landlord-host --engine restate": '"registered"',
}
"""Programs that run in a terminal of their own, with what they print once they serve."""


@attrs.frozen(kw_only=True)
class Reader:
    """A reader who follows the page, with a terminal for each program that stays.

    Attributes:
        installs: Whether the reader creates the environment and installs into it. Otherwise the
            commands run in the environment of the tests.
    """

    terminals: Mapping[str, Shell]
    installs: bool

    async def follow(self) -> dict[str, str]:
        """Run all commands and return their outputs."""
        outputs = {}
        for command in COMMANDS:
            if command in (*ENVIRONMENT, INSTALL) and not self.installs:
                continue
            if command in SERVERS:
                await self.start(command)
            else:
                outputs[command] = await self.terminals["first"].run(command)
        return outputs

    async def start(self, command: str) -> None:
        terminal = self.terminals[command]
        if self.installs:
            await terminal.run(ENVIRONMENT[1])
        await terminal.start(command, SERVERS[command])


@pytest.fixture
def ports() -> dict[str, int]:
    return {documented: free_port() for documented in ("8080", "9070", "9080", "9082", "8000")}


@pytest.fixture
def folder(tmp_path: Path, ports: Mapping[str, int]) -> Path:
    """The reader's folder with the configuration that the page shows."""
    (config,) = re.findall(
        r"^```yaml\n(.*?)^```$", (ROOT / PAGE).read_text(), re.DOTALL | re.MULTILINE
    )
    for documented, own in ports.items():
        config = config.replace(f":{documented}", f":{own}")
    (tmp_path / "config.yaml").write_text(config)
    return tmp_path


@pytest_asyncio.fixture(loop_scope="session")
async def terminals(folder: Path, ports: Mapping[str, int]) -> AsyncIterator[Mapping[str, Shell]]:
    server = await server_binary()
    environment = {
        "PATH": os.pathsep.join(
            (str(Path(sys.executable).parent), str(server.parent), os.environ["PATH"])
        ),
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        "XDG_STATE_HOME": str(folder / "state"),
        "RESTATE_INGRESS__BIND_PORT": str(ports["8080"]),
        "RESTATE_ADMIN__BIND_PORT": str(ports["9070"]),
        "RESTATE_BIND_PORT": str(free_port()),
        "WORKFLOW_RESTATE_WORKER_ADDRESS": f"127.0.0.1:{ports['9080']}",
        "WORKER_PROBE_ADDRESS": f"127.0.0.1:{ports['9082']}",
        "LOG_FORMAT": "json",
    }
    names = {
        **{f"127.0.0.1:{documented}": f"127.0.0.1:{own}" for documented, own in ports.items()},
        '"port": 8000': f'"port": {ports["8000"]}',
        "curl ": "curl --silent --show-error --fail ",
    }
    async with AsyncExitStack() as stack:
        yield {
            terminal: await stack.enter_async_context(
                open_shell(folder, environment=environment, names=names)
            )
            for terminal in ("first", *SERVERS)
        }


async def follow(reader: Reader) -> None:
    outputs = await reader.follow()

    code = await reader.terminals["landlord-host --engine restate"].end()
    *_, ready, created, served, deleted = outputs.values()
    assert '"registered"' in ready
    assert '"status":"created"' in created
    assert "Directory listing" in served
    assert '"status":"deleted"' in deleted
    assert code == 0


async def test_the_page_leads_to_a_tenant_that_answers(terminals: Mapping[str, Shell]) -> None:
    await follow(Reader(terminals=terminals, installs=False))


@pytest.mark.long
async def test_the_page_leads_there_from_a_new_environment(
    terminals: Mapping[str, Shell], wheels: Path
) -> None:
    await terminals["first"].run(f"export PIP_FIND_LINKS={wheels}")

    await follow(Reader(terminals=terminals, installs=True))
