"""The systemd unit, and the commands of docs/operating/systemd.md in their order.

A container runs systemd. Its process has the capabilities that systemd needs to build a sandbox.
"""

import json
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from landlord_test_target.docker import docker
from landlord_test_target.documents import read_commands
from landlord_test_target.harness import Harness, free_port, wait_for
from landlord_test_target.shell import Shell, open_shell

COMMANDS = [command.command for command in read_commands("docs/operating/systemd.md")]

# Where the machine has control groups of version 1, systemd needs only its own hierarchy.
CONTROL_GROUPS = next(
    path for path in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup") if Path(path).exists()
)
RIGHTS = (
    "--cap-add=SYS_ADMIN",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    f"--volume={CONTROL_GROUPS}:{CONTROL_GROUPS}:rw",
    *(f"--tmpfs={folder}" for folder in ("/run", "/run/lock", "/tmp")),
    "--env=container=docker",
)
GET = "python3 -c 'import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read())' "
"""Stands for curl, which the machine lacks."""

FOLDER = "/var/lib/landlord/process"

WORST = 15
"""The worst accepted rating of the sandbox, in tenths."""


@pytest.fixture
def ports() -> Mapping[str, int]:
    return {"probes": free_port(), "tenant": free_port()}


@pytest_asyncio.fixture(loop_scope="session")
async def shell(
    base: str, clone: Path, harness: Harness, ports: Mapping[str, int], tmp_path: Path
) -> AsyncIterator[Shell]:
    """A shell as root in a clone, on a machine with systemd."""
    folder = shutil.copytree(clone, tmp_path / "clone")
    worker = {"probe_address": f"127.0.0.1:{ports['probes']}"}
    config = {**harness.config(), "worker": worker, "compute": {"process": {"folder": FOLDER}}}
    (folder / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    name = f"landlord-test-systemd-{uuid4().hex[:8]}"
    mount = f"--volume={folder}:/clone:ro"
    docker(
        "run", "--detach", "--network=host", f"--name={name}", *RIGHTS, mount, base, "/sbin/init"
    )
    pip = ("--env=PIP_NO_INDEX=1", "--env=PIP_FIND_LINKS=/clone/dist")
    inside = ("docker", "exec", "--interactive", "--workdir=/clone", *pip, name)
    names = {"127.0.0.1:9082": worker["probe_address"], "curl ": GET}
    try:
        async with open_shell(folder, *inside, names=names, within=300) as shell:
            await shell.run("until [ -S /run/systemd/private ]; do sleep 0.1; done")
            await shell.run("systemctl is-system-running --wait")
            yield shell
    finally:
        docker("rm", "--force", name)


async def is_registered(http: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with http.get(f"http://127.0.0.1:{port}/readyz") as response:
            return '"registered"' in await response.text()
    except aiohttp.ClientError:
        return False


@pytest.mark.long
async def test_the_documented_commands_run_a_worker_whose_tenants_outlive_it(
    shell: Shell, harness: Harness, ports: Mapping[str, int]
) -> None:
    started, upgrade = COMMANDS.index("curl http://127.0.0.1:9082/readyz"), len(COMMANDS) - 2
    for command in COMMANDS[:started]:
        await shell.run(command)
    await wait_for(lambda: is_registered(harness.http, ports["probes"]))
    for command in COMMANDS[started:upgrade]:
        await shell.run(command)
    tenant = harness.tenant()
    config: dict[str, Any] = {
        "command": ["/usr/bin/python3", "-m", "http.server", "{port}"],
        "port": ports["tenant"],
        "health": {"http": "/"},
    }
    created = await harness.run(tenant, "provision", **config)
    sandbox = await shell.run(
        "grep --extended-regexp 'CapEff|NoNewPrivs|Seccomp:'"
        " /proc/$(systemctl show --property MainPID --value landlord-host)/status"
    )

    await shell.run("systemctl stop landlord-host")
    ended = await shell.run("systemctl show --property ExecMainStatus --value landlord-host")
    async with harness.http.get(f"http://127.0.0.1:{ports['tenant']}/") as page:
        served = page.status
    for command in COMMANDS[upgrade:]:
        await shell.run(command)
    deleted = await harness.run(tenant, "delete")

    assert sandbox.split() == ["CapEff:", "0" * 16, "NoNewPrivs:", "1", "Seccomp:", "2"]
    assert (created, ended, served, deleted) == ("created", "0", 200, "deleted")


@pytest.mark.long
async def test_systemd_accepts_the_unit_and_rates_its_sandbox_well(shell: Shell) -> None:
    unit = "deploy/landlord-host.service"
    rating = await shell.run(
        f"systemd-analyze security --offline=true --threshold={WORST} --no-pager {unit}"
    )

    assert "Overall exposure level for landlord-host.service: 1." in rating
