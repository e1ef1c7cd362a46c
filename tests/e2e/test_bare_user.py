"""Commands of a random user without HOME, in a mount namespace with a read-only root and home."""

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from landlord_engines_restate.local.binary import server_binary
from landlord_engines_restate.local.server import RestateServer
from landlord_test_target.harness import free_port

ROOT = Path(__file__).parents[2]
HOST = Path(sys.prefix) / "bin" / "landlord-host"

# $1 is the home, $2 the folder of the restate-server. The paths of the home that stay readable follow,
# and after -- the command with its environment. Only /mnt/tmp is writable.
NAMESPACE = """\
set -e
home=$1 server=$2
shift 2
mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir /mnt/keep /mnt/server /mnt/tmp
mkdir -m 0700 /mnt/secret
chmod 1777 /mnt/tmp
mount --bind "$server" /mnt/server
paths=()
while [ "$1" != -- ]; do
    paths+=("$1")
    mkdir -p "/mnt/keep$1"
    mount --bind "$1" "/mnt/keep$1"
    shift
done
shift
mount -t tmpfs -o mode=0755 tmpfs "$home"
for path in "${paths[@]}"; do
    mkdir -p "$path"
    mount --bind "/mnt/keep$path" "$path"
done
mount -o remount,ro "$home"
mount -o remount,bind,ro /
cd /
uid=$((100000 + RANDOM))
exec setpriv --reuid=$uid --regid=$uid --clear-groups env -i "$@"
"""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv"))),
    reason="only root may become another user, with mounts of its own",
)


async def as_bare_user(*arguments: str, **environment: str) -> Process:
    """Start `landlord-host`, with restate-server on its PATH unless the environment says so."""
    home = Path.home()
    kept = {str(path) for path in (Path(sys.base_prefix), Path(sys.prefix), ROOT)}
    own = {"PATH": "/mnt/server:/usr/bin:/bin", "TMPDIR": "/mnt/tmp", "LOG_FORMAT": "json"}
    return await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "bash", "-c", NAMESPACE, "bash", str(home)),
        str((await server_binary()).parent),
        *(path for path in sorted(kept) if Path(path).is_relative_to(home)),
        "--",
        *(f"{name}={value}" for name, value in {**own, **environment}.items()),
        *(str(HOST), "--engine=restate", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )


async def wait_end(process: Process) -> tuple[int | None, str, str]:
    output, errors = await asyncio.wait_for(process.communicate(), 120)
    assert b"Traceback" not in errors
    return process.returncode, output.decode(), errors.decode()


def worker_of(restate: RestateServer) -> dict[str, str]:
    return {
        "WORKFLOW_RESTATE_ADMIN_ENDPOINT": restate.admin_endpoint,
        "WORKFLOW_RESTATE_WORKER_ADDRESS": f"127.0.0.1:{free_port()}",
        "WORKER_PROBE_ADDRESS": "127.0.0.1:0",
        "COMPUTE": '{"mock": {}}',
    }


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("engines", "landlord-engines-restate"),
        ("config", "worker.drain_timeout = "),
        ("check", "registration: "),
    ],
)
async def test_a_command_needs_no_home_and_no_folder(
    dedicated_restate: RestateServer, command: str, says: str
) -> None:
    process = await as_bare_user(command, **worker_of(dedicated_restate))

    code, output, errors = await wait_end(process)

    assert (code, says in output) == (0, True), errors


async def test_a_worker_needs_no_home_and_no_folder(dedicated_restate: RestateServer) -> None:
    process = await as_bare_user(**worker_of(dedicated_restate))
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while b'"state": "registered"' not in (line := await process.stderr.readline()):
            assert line

    process.send_signal(signal.SIGTERM)

    assert (await wait_end(process))[0] == 0


async def test_the_demo_needs_a_folder_for_temporary_files_alone() -> None:
    code, output, errors = await wait_end(await as_bare_user("dev", "--demo"))

    assert code == 0, errors
    assert "delete" in output


HOME = {"HOME": str(Path.home())}
NO_SERVER = {"PATH": "/usr/bin:/bin"}
SECRET = {"XDG_CONFIG_HOME": "/mnt/secret"}


@pytest.mark.parametrize(
    ("environment", "code", "named"),
    [
        ({"TMPDIR": "/nowhere"}, 2, ("/nowhere", "set TMPDIR")),
        (NO_SERVER, 3, ("no home folder", "XDG_CACHE_HOME")),
        ({**NO_SERVER, **HOME}, 3, (str(Path.home() / ".cache"), "Read-only", "XDG_CACHE_HOME")),
        (SECRET, 2, ("/mnt/secret/landlord", "XDG_CONFIG_HOME", "Permission denied")),
        ({"LANDLORD_CONFIG": "/mnt/secret/x"}, 2, ("/mnt/secret/x", "LANDLORD_CONFIG")),
        ({"LANDLORD_CONFIG": "/mnt"}, 2, ("/mnt is a folder", "LANDLORD_CONFIG")),
        ({"COMPUTE": '{"process": {}}'}, 2, ("no home folder", "compute.process.folder")),
    ],
)
async def test_an_unusable_environment_is_reported_in_one_line(
    environment: dict[str, str], code: int, named: tuple[str, ...]
) -> None:
    seen, _, errors = await wait_end(await as_bare_user("dev", **environment))

    (line,) = errors.splitlines()
    assert seen == code
    assert line.startswith("landlord-host: LE")
    for name in named:
        assert name in line
