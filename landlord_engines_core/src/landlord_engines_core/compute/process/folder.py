"""A tenant's folder: all state of its process, readable after any crash.

The runner is the process that starts the command and waits for its end. A run is one start.

- act.lock is held by the worker that acts on the tenant.
- command.lock is held by the tenant's processes, all of which inherit it.
- runner.lock is held by the runner.
- state.json contains the configuration to run, and the last one that was healthy.
- note.json contains the status that the runner writes.
- output.log and output.log.1 contain the command's output.
- work is the command's working folder, unless its configuration names another.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import attrs

from landlord_engines_core import codec
from landlord_engines_core.compute.process.config import TenantConfig
from landlord_engines_core.compute.process.locks import is_held, remove_foreign
from landlord_engines_core.compute.process.runner import open_file, renew_file

__all__ = ["FailedConfig", "Folder", "FolderState", "Run", "RunnerStatus", "State"]

T = TypeVar("T")

_FILES = ("runner.lock", "state.json", "state.json.new", "note.json", "note.json.new")

_MAX_DOCUMENT_BYTES = 64 << 20
"""Maximum number of bytes that are read: the tenant can write to these files too."""


@attrs.frozen(kw_only=True)
class Run:
    """One start of a command.

    Attributes:
        run: The unique name of the start.
        port: The command's port.
        config: The tenant's configuration.
        config_hash: The hash of the configuration.
        key_hashes: The hashes of the configuration's values by key.
        output_limit: Bytes of output kept in each of two files.
    """

    run: str
    port: int
    config: TenantConfig
    config_hash: str
    key_hashes: Mapping[str, str]
    output_limit: int


@attrs.frozen(kw_only=True)
class FailedConfig:
    """A configuration that did not become healthy, and the reason."""

    config_hash: str
    reason: str


@attrs.frozen(kw_only=True)
class State:
    """The desired state of a tenant's process.

    Attributes:
        wanted: The desired run.
        last_healthy: The run to roll back to if ``wanted`` does not become healthy.
        refused: Config being rolled back. Set before the rollback starts, so an interrupted attempt
            resumes it.
    """

    wanted: Run
    last_healthy: Run | None = None
    refused: FailedConfig | None = None

    @property
    def pending(self) -> bool:
        """Whether the desired run is an update that was never healthy."""
        return (
            self.last_healthy is not None
            and self.last_healthy.config_hash != self.wanted.config_hash
        )


@attrs.frozen(kw_only=True)
class RunnerStatus:
    """Status of a runner and its command, as the runner writes it.

    Attributes:
        run: The name of the run.
        pid: The runner's process id.
        started: Wall-clock time of the start; used if ``uptime`` is zero.
        stop_timeout: The configuration's ``stop_timeout``.
        uptime: Time of the start by `runner.boot_clock`; zero from older versions.
        boot_id: The kernel's id of the boot; empty from older versions.
        ticks: The runner's start in kernel ticks since the boot.
        child_ticks: The command's start in kernel ticks since the boot.
        child: The command's process id, and the id of its group.
        ended: Whether the command has ended.
        code: The command's exit code, or its signal as a negative number.
        problem: The name of the operating system's error if the command could not be started.
    """

    run: str
    pid: int
    started: float
    stop_timeout: float
    uptime: float = 0.0
    boot_id: str = ""
    ticks: int = 0
    child_ticks: int = 0
    child: int | None = None
    ended: bool = False
    code: int = 0
    problem: str = ""


@attrs.frozen(kw_only=True)
class FolderState:
    """The contents of a tenant's folder at one moment.

    Attributes:
        state: The desired state; ``None`` for a tenant without a process.
        status: The status that a runner wrote last.
        is_alive: Whether a runner is alive.
    """

    state: State | None
    status: RunnerStatus | None
    is_alive: bool

    @property
    def run_status(self) -> RunnerStatus | None:
        """The status of the desired run; ``None`` until its runner has written it."""
        if self.state is None or self.status is None or self.status.run != self.state.wanted.run:
            return None
        return self.status

    @property
    def is_killed(self) -> bool:
        """Whether no runner is alive and none wrote the command's end: killed, or never started."""
        status = self.run_status
        return not self.is_alive and not (status is not None and status.ended)

    @property
    def failure(self) -> str:
        """Why the desired run ended or did not start; empty while it runs or is starting."""
        status = self.run_status
        if status is not None and status.problem:
            return f"the command cannot be started: {status.problem}"
        if status is not None and status.ended:
            end = f"exit code {status.code}" if status.code >= 0 else f"signal {-status.code}"
            return f"the command ended with {end}"
        return "the command or its runner was killed from outside" if self.is_killed else ""


@attrs.frozen
class Folder:
    """The files of one tenant. No method waits for a lock."""

    path: Path

    @property
    def act_lock(self) -> Path:
        """The lock of the worker that acts on the tenant."""
        return self.path / "act.lock"

    @property
    def command_lock(self) -> Path:
        """The lock of the tenant's processes."""
        return self.path / "command.lock"

    @property
    def runner_lock(self) -> Path:
        """The lock of the runner."""
        return self.path / "runner.lock"

    def create(self) -> None:
        """Create the folder, without access for other users."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.mkdir(mode=0o700, exist_ok=True)
        (self.path / "work").mkdir(mode=0o700, exist_ok=True)

    def read(self) -> FolderState:
        """Read the state, the status and the runner's lock."""
        state = _read_document(self.path / "state.json", State)
        # The lock is checked before the status is read: if no runner is alive, the status is final. In
        # the other order a runner could write its last status in between.
        is_alive = is_held(self.runner_lock)
        status = _read_document(self.path / "note.json", RunnerStatus)
        return FolderState(state=state, status=status, is_alive=is_alive)

    def write(self, state: State) -> None:
        """Replace the state, durably and atomically; it may contain secrets."""
        self.prepare(state)
        self.commit()

    def prepare(self, state: State) -> None:
        """Write a state durably to a second file, which `commit` renames."""
        # A tenant may have replaced these files by folders or devices. They are removed now: once the
        # previous command is stopped, nothing must fail on them.
        for name in _FILES:
            remove_foreign(self.path / name)
        with os.fdopen(renew_file(self._prepared), "wb") as file:
            file.write(codec.dumps(state))
            file.flush()
            os.fsync(file.fileno())

    def commit(self) -> None:
        """Replace the state by the prepared one, which works on a full disk too."""
        self._prepared.replace(self.path / "state.json")

    @property
    def _prepared(self) -> Path:
        return self.path / "state.json.new"


def _read_document(path: Path, kind: type[T]) -> T | None:
    """Read a document; one that cannot be read counts as missing."""
    try:
        with os.fdopen(open_file(path, os.O_RDONLY), "rb") as file:
            return codec.loads(file.read(_MAX_DOCUMENT_BYTES), kind)
    except (OSError, codec.BadDocument):
        return None
