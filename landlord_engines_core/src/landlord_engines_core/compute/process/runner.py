"""Keeps one tenant's command running, in a process of its own that outlives the worker.

    python -I -S runner.py FOLDER DESCRIPTOR

It is started holding the folder's command lock through DESCRIPTOR, and hands that on to the command:
while anybody of the tenant lives, the lock is held. It notes what it does in the folder, writes the
command's output to a file of limited size, and ends the whole process group on SIGTERM. It imports
nothing but the standard library, since there is one for each tenant.
"""

import errno
import fcntl
import json
import math
import os
import selectors
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from typing import Any

__all__ = [
    "MARK",
    "NotAFile",
    "Runner",
    "boot_id",
    "main",
    "open_file",
    "renew_file",
    "start_ticks",
    "uptime",
]

MARK = "LANDLORD_PROCESS_FOLDER"
"""The environment variable by which a tenant's processes are known; its value is the folder."""

_PATH = "/usr/local/bin:/usr/bin:/bin"
_WATCH = 2.0
"""Seconds between two looks at the folder, whose removal nobody announces."""
_LINGER = 0.05
"""Seconds between two looks at what is left of a group."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_PIPE = 1 << 16
"""Bytes that a pipe holds at most."""


def boot_id() -> str:
    """The kernel's name for this boot, proc(5); empty where the system has none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int:
    """Ticks from the boot until this process started, proc(5); zero where nobody tells.

    Together with the boot's id they tell a process from any other that had or gets its number. No
    step of the clock changes them.
    """
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    # A command's name may hold spaces and parentheses: what counts begins after the last one.
    return int(line.rpartition(b")")[2].split()[19])


def uptime() -> float:
    """Seconds on a clock that goes on while the machine sleeps, and that nobody sets."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class NotAFile(OSError):
    """Something else stands where a file of the tenant's folder belongs: it was not touched.

    Attributes:
        mode: What it is, as stat(2) has it.
    """

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(errno.EEXIST, "not a regular file", str(path))
        self.mode = mode


def open_file(path: Path, flags: int) -> int:
    """Open a file in a tenant's folder, whatever the tenant put in its place.

    No link is followed, no FIFO is waited for, and no device is opened.

    Raises:
        NotAFile: Something else is there.
        OSError: It cannot be opened.
    """
    with suppress(FileNotFoundError):
        _check_file(path, path.lstat().st_mode)
    # Somebody may have replaced it since the look.
    safely = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(path, flags | safely, 0o600)
    try:
        _check_file(path, os.fstat(descriptor).st_mode)
    except NotAFile:
        os.close(descriptor)
        raise
    return descriptor


def renew_file(path: Path) -> int:
    """Open a new, empty file for writing; one of this name before, or a link, is removed."""
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _check_file(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NotAFile(path, mode)


class Output:
    """A file of limited size, and one older file beside it.

    What cannot be written is dropped: a full disk must not stop the command.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._file: int | None = None

    def write(self, data: bytes) -> None:
        """Write to the newer file, and begin another where it is full."""
        for start in range(0, len(data), self._limit):
            with suppress(OSError):
                self._write(data[start : start + self._limit])

    def _write(self, piece: bytes) -> None:
        file = self._opened()
        if os.fstat(file).st_size + len(piece) > self._limit:
            # Forgotten before it is closed: on a full disk it may be that no other can be opened.
            self._file = None
            os.close(file)
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            file = self._opened()
        os.write(file, piece)

    def _opened(self) -> int:
        if self._file is None:
            self._file = open_file(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        return self._file


class Runner:
    """Runs the command that the folder's state asks for, until it ends or is to end.

    Attributes:
        folder: The tenant's folder.
        lock: The descriptor of the command lock.
        reached: Told the name of each point, for tests.
    """

    def __init__(self, folder: Path, lock: int, reached: Callable[[str], None]) -> None:
        self.folder = folder
        self.lock = lock
        self.reached = reached
        self._wanted: Mapping[str, Any] = json.loads((folder / "state.json").read_bytes())["wanted"]
        self._config: Mapping[str, Any] = self._wanted["config"]
        self._note = {
            "run": self._wanted["run"],
            "pid": os.getpid(),
            "started": time.time(),
            "uptime": uptime(),
            "boot_id": boot_id(),
            "ticks": start_ticks(os.getpid()),
            "stop_timeout": self._config["stop_timeout"],
        }
        self._unwritten = False
        self._asked = False
        self._deadline: float | None = None

    def run(self) -> None:
        """Start the command, keep it, and note its end."""
        self.note()
        self.reached("runner:noted")
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            child = self._spawn()
        except (OSError, ValueError) as error:
            number = getattr(error, "errno", None) or errno.EINVAL
            self.note(ended=True, problem=errno.errorcode[number])
            return
        self.reached("runner:spawned")
        self.note(
            child=child.pid,
            child_ticks=start_ticks(child.pid),
            started=time.time(),
            uptime=uptime(),
        )
        self.reached("runner:running")
        self._keep(child)
        self.note(ended=True, code=child.returncode)

    def note(self, **news: object) -> None:
        """Add to what the folder knows of this run; a folder that is gone needs no note.

        What cannot be written, to a full disk, is written again while the command runs.
        """
        self._note.update(news)
        self._unwritten = True
        path = self.folder / "note.json"
        new = path.with_name("note.json.new")
        with suppress(OSError):
            with os.fdopen(renew_file(new), "w") as file:
                file.write(json.dumps(self._note))
            new.replace(path)
            self._unwritten = False

    def _spawn(self) -> Popen[bytes]:
        port = str(self._wanted["port"])
        folder = self._config["working_folder"] or str(self.folder / "work")
        return Popen(  # noqa: S603  # the tenant's command is what this is for; there is no shell
            [argument.replace("{port}", port) for argument in self._config["command"]],
            env={"PATH": _PATH, **self._config["env"], "PORT": port, MARK: str(self.folder)},
            cwd=folder,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            pass_fds=(self.lock,),
            start_new_session=True,
        )

    def _ask(self, *_: object) -> None:
        self._asked = True

    def _keep(self, child: Popen[bytes]) -> None:
        """Return once the command has ended, and its group with it."""
        assert child.stdout is not None
        source = child.stdout.fileno()
        os.set_blocking(source, False)
        output = Output(self.folder / "output.log", self._wanted["output_limit"])
        with selectors.DefaultSelector() as selector:
            _wake_on_signals(selector)
            selector.register(source, selectors.EVENT_READ)
            while child.poll() is None or self._lingers(child):
                self._watch(child)
                for key, _ in selector.select(self._pause(child)):
                    data = os.read(key.fd, _PIPE)
                    if key.fd == source and data:
                        output.write(data)
                    elif key.fd == source:
                        selector.unregister(source)
        with suppress(BlockingIOError):
            output.write(os.read(source, _PIPE))

    def _lingers(self, child: Popen[bytes]) -> bool:
        """Whether others of the group are left, and still have time; the command itself is not."""
        self._asked = True
        return self._deadline != math.inf and _group_lives(child)

    def _pause(self, child: Popen[bytes]) -> float:
        if child.returncode is not None:
            # Those that are left are not this process's children: nothing tells of their end.
            return _LINGER
        if self._deadline is None:
            return _WATCH
        return min(_WATCH, max(0.0, self._deadline - time.monotonic()))

    def _watch(self, child: Popen[bytes]) -> None:
        """Bring the command to its end where that is asked for, or where its folder is gone."""
        if self._unwritten:
            self.note()
        if self._deadline is None:
            if self._asked or not _is_at(self.lock, self.folder / "command.lock"):
                self._deadline = time.monotonic() + self._config["stop_timeout"]
                _signal_group(child, signal.SIGTERM)
        elif time.monotonic() >= self._deadline:
            self._deadline = math.inf
            _signal_group(child, signal.SIGKILL)


def _wake_on_signals(selector: selectors.BaseSelector) -> None:
    woken, waker = socket.socketpair()
    os.set_blocking(waker.fileno(), False)
    # It lives as long as the process.
    signal.set_wakeup_fd(waker.detach())
    selector.register(woken.detach(), selectors.EVENT_READ)


def _signal_group(child: Popen[bytes], number: int) -> None:
    # macOS forbids to signal a group in which nothing but a zombie is left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _group_lives(child: Popen[bytes]) -> bool:
    try:
        os.killpg(child.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _pass_by(_: str) -> None:
    """Go on, as always outside of tests."""


def main(arguments: Sequence[str], reached: Callable[[str], None] = _pass_by) -> None:
    """Leave the worker's family; return there at once, and here when the command has ended."""
    folder, lock = Path(arguments[0]), int(arguments[1])
    held = open_file(folder / "runner.lock", os.O_RDWR | os.O_CREAT)
    # Only somebody who looks whether it is held is ever waited for. It stays held by both.
    fcntl.flock(held, fcntl.LOCK_EX)
    if os.fork() == 0:
        os.setsid()
        reached("runner:begun")
        Runner(folder, lock, reached).run()


if __name__ == "__main__":
    main(sys.argv[1:])
