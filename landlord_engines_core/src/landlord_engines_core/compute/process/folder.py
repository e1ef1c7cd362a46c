"""A tenant's folder, which holds all state of its process and is readable after any crash.

- act.lock is held by the worker that acts on the tenant.
- command.lock is held by the tenant's processes, all of which inherit it.
- runner.lock is held by the runner.
- state.json holds the configuration to run, and the last one that was healthy.
- note.json holds the status that the runner writes.
- output.log and output.log.1 hold the command's output.
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

_MAX_BYTES = 64 << 20
"""Bytes of a document that are read, at most: the tenant can write to these files too."""


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
        wanted: The run that should be healthy.
        last_healthy: The run to go back to if ``wanted`` does not become healthy.
        refused: Config being rolled back. Set before the rollback starts, so an interrupted attempt
            resumes it.
    """

    wanted: Run
    last_healthy: Run | None = None
    refused: FailedConfig | None = None

    @property
    def pending(self) -> bool:
        """Whether an update has not proven healthy yet."""
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
        started: Time of the start by the wall clock, for a status without better clocks.
        stop_timeout: The configuration's ``stop_timeout``.
        uptime: Time of the start by a clock that nobody sets; zero from former versions.
        boot_id: The kernel's id of the boot; empty from former versions.
        ticks: Time of the runner's start in the kernel's ticks since the boot.
        child_ticks: Time of the command's start in those ticks.
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
        is_alive: Whether a runner lives.
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
        """Whether the runner was killed before it wrote the command's end."""
        status = self.run_status
        return not self.is_alive and not (status is not None and status.ended)

    @property
    def failure(self) -> str:
        """Why the desired run does not run; empty if it does, or is about to."""
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
        # The lock comes before the status. If no runner lives, the status read after it is final; in
        # the other order a runner could write its last status in between.
        is_alive = is_held(self.runner_lock)
        status = _read_document(self.path / "note.json", RunnerStatus)
        return FolderState(state=state, status=status, is_alive=is_alive)

    def write(self, state: State) -> None:
        """Replace the state, durably and atomically; it may hold secrets."""
        self.prepare(state)
        self.commit()

    def prepare(self, state: State) -> None:
        """Write a state durably beside the one in force."""
        # A tenant may have put folders or devices in the place of these files. They are removed now:
        # once the former command is stopped, nothing must fail on them.
        for name in _FILES:
            remove_foreign(self.path / name)
        with os.fdopen(renew_file(self._new), "wb") as file:
            file.write(codec.dumps(state))
            file.flush()
            os.fsync(file.fileno())

    def commit(self) -> None:
        """Put the prepared state in force, which works on a full disk too."""
        self._new.replace(self.path / "state.json")

    @property
    def _new(self) -> Path:
        return self.path / "state.json.new"


def _read_document(path: Path, kind: type[T]) -> T | None:
    """Read a document; one that cannot be read counts as missing."""
    try:
        with os.fdopen(open_file(path, os.O_RDONLY), "rb") as file:
            return codec.loads(file.read(_MAX_BYTES), kind)
    except (OSError, codec.BadDocument):
        return None
