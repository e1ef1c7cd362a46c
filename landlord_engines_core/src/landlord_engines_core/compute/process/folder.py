"""A tenant's folder: all that is known of its process, readable after any crash.

==============  =====================================================================
act.lock        held by the worker that acts on the tenant
command.lock    held by whatever lives of the tenant: inherited by all its processes
runner.lock     held by the runner alone
state.json      the configuration that is to run, and the last one known to serve
note.json       what the runner did with it
output.log, .1  what the command wrote
work            where the command works, unless it asked for another folder
==============  =====================================================================
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import attrs

from landlord_engines_core import codec
from landlord_engines_core.compute.process.config import TenantConfig
from landlord_engines_core.compute.process.locks import clear, is_held
from landlord_engines_core.compute.process.runner import open_file, renew_file

__all__ = ["FailedConfig", "Folder", "FolderState", "Run", "RunnerStatus", "State"]

T = TypeVar("T")

_FILES = ("runner.lock", "state.json", "state.json.new", "note.json", "note.json.new")

_LARGEST = 64 << 20
"""Bytes of a document that are read; a tenant can make its own as large as it likes."""


@attrs.frozen(kw_only=True)
class Run:
    """One start of a command.

    Attributes:
        run: Unlike that of any other start.
        port: The port that it was given.
    """

    run: str
    port: int
    config: TenantConfig
    config_hash: str
    key_hashes: Mapping[str, str]
    output_limit: int


@attrs.frozen(kw_only=True)
class FailedConfig:
    """A configuration that did not become healthy, and why."""

    config_hash: str
    reason: str


@attrs.frozen(kw_only=True)
class State:
    """What is to run.

    Attributes:
        proven: The run that serves again where ``wanted`` does not become healthy.
        refused: What is gone back from, from before the way back begins until its end: an attempt
            that is cut on it is followed by one that goes on with it, instead of trying the same
            anew.
    """

    wanted: Run
    last_healthy: Run | None = None
    refused: FailedConfig | None = None

    @property
    def pending(self) -> bool:
        """Whether an update has yet to show that it serves."""
        return (
            self.last_healthy is not None
            and self.last_healthy.config_hash != self.wanted.config_hash
        )


@attrs.frozen(kw_only=True)
class RunnerStatus:
    """What a runner did.

    Attributes:
        started: Seconds since the epoch; for notes that have no more than that.
        uptime: The same by a clock that nobody sets; zero in the notes of former versions.
        boot_id: The boot that this was noted in; empty in the notes of former versions.
        ticks: When the runner started, in the kernel's ticks since the boot.
        child_ticks: When the command did.
        child: The command's process, and the leader of its group.
        code: How the command ended: its exit code, or below zero the signal.
        problem: The name of the system's error where the command could not be started.
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
    """A look at a folder; ``lives`` tells whether the runner does."""

    state: State | None
    note: RunnerStatus | None
    lives: bool

    @property
    def noted(self) -> RunnerStatus | None:
        """The note of the run that is wanted; there is none before its runner wrote it."""
        if self.state is None or self.note is None or self.note.run != self.state.wanted.run:
            return None
        return self.note

    @property
    def is_killed(self) -> bool:
        """Whether the wanted run's end was nobody's to note: no configuration is at fault."""
        noted = self.noted
        return not self.lives and not (noted is not None and noted.ended)

    @property
    def trouble(self) -> str:
        """Why the wanted run is not there; empty if it is, or is about to be."""
        note = self.noted
        if note is not None and note.problem:
            return f"the command cannot be started: {note.problem}"
        if note is not None and note.ended:
            how = f"exit code {note.code}" if note.code >= 0 else f"signal {-note.code}"
            return f"the command ended with {how}"
        return "the command, or what keeps it, was ended from outside" if self.is_killed else ""


@attrs.frozen
class Folder:
    """The files of one tenant. Nothing here waits for anybody."""

    path: Path

    @property
    def act_lock(self) -> Path:
        """Held by the worker that acts."""
        return self.path / "act.lock"

    @property
    def command_lock(self) -> Path:
        """Held by whatever lives."""
        return self.path / "command.lock"

    @property
    def runner_lock(self) -> Path:
        """Held by the runner alone."""
        return self.path / "runner.lock"

    def make(self) -> None:
        """Make it, for nobody else to look into."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.mkdir(mode=0o700, exist_ok=True)
        (self.path / "work").mkdir(mode=0o700, exist_ok=True)

    def seen(self) -> FolderState:
        """Look at everything at once."""
        state = _read(self.path / "state.json", State)
        # In this order: what a runner that is no more has noted is all that it ever will.
        lives = is_held(self.runner_lock)
        return FolderState(
            state=state, note=_read(self.path / "note.json", RunnerStatus), lives=lives
        )

    def write(self, state: State) -> None:
        """Replace the state, durably and in one go; it may hold secrets."""
        self.prepare(state)
        self.replace()

    def prepare(self, state: State) -> None:
        """Write a state down durably, without its being in force.

        What a tenant put in the place of a file is removed: nothing is to fail on it once the former
        command is stopped.
        """
        for name in _FILES:
            clear(self.path / name)
        with os.fdopen(renew_file(self._new), "wb") as file:
            file.write(codec.dumps(state))
            file.flush()
            os.fsync(file.fileno())

    def replace(self) -> None:
        """Have the state that was prepared be in force; a full disk does not hinder that."""
        self._new.replace(self.path / "state.json")

    @property
    def _new(self) -> Path:
        return self.path / "state.json.new"


def _read(path: Path, kind: type[T]) -> T | None:
    """Read a document; one that is not readable is as good as none."""
    try:
        with os.fdopen(open_file(path, os.O_RDONLY), "rb") as file:
            return codec.loads(file.read(_LARGEST), kind)
    except (OSError, codec.BadDocument):
        return None
