"""Runner of one tenant's command, a process that outlives the worker.

    python -I -S runner.py FOLDER DESCRIPTOR

The runner holds the folder's command lock through DESCRIPTOR, and passes it on to the command. The lock
is thus held while any process of the tenant is alive. The runner writes its status into the folder and the
command's output into a file of limited size. On SIGTERM it ends the command's process group. It imports
the standard library only, since each tenant has a runner of its own.
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
    "boot_clock",
    "boot_id",
    "main",
    "open_file",
    "renew_file",
    "start_ticks",
]

MARK = "LANDLORD_PROCESS_FOLDER"
"""The environment variable that identifies a tenant's processes; its value is the folder."""

_PATH = "/usr/local/bin:/usr/bin:/bin"
"""PATH of a command whose configuration sets none."""
_FOLDER_INTERVAL = 2.0
"""Seconds between two checks of the folder, which may be removed without notice."""
_GROUP_INTERVAL = 0.05
"""Seconds between two checks of a process group whose command has ended."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_PIPE_BYTES = 1 << 16
"""Maximum number of bytes in a pipe."""


def boot_id() -> str:
    """Return the kernel's id of this boot, proc(5); empty on a system without one."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int:
    """Return the ticks from the boot until a process started, proc(5); zero on other systems.

    Together with the boot's id they identify a process, even if its number is used again. Setting the
    clock does not change them.
    """
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    # The name, field 2, may contain spaces and parentheses. Field 3 follows the last parenthesis, and
    # the start is field 22.
    return int(line.rpartition(b")")[2].split()[19])


def boot_clock() -> float:
    """Return the seconds since the boot, including sleep. Nobody can set this clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class NotAFile(OSError):
    """A path of the tenant's folder that is not a regular file.

    Attributes:
        mode: The mode of stat(2), which contains the file type.
    """

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(errno.EEXIST, "not a regular file", str(path))
        self.mode = mode


def open_file(path: Path, flags: int) -> int:
    """Open a file in a tenant's folder, without following a link, waiting or opening a device.

    Raises:
        NotAFile: The tenant put something else in the file's place.
        OSError: The file cannot be opened.
    """
    with suppress(FileNotFoundError):
        _check_file(path, path.lstat().st_mode)
    # The tenant may have replaced the file since: these flags keep the call from blocking.
    safe_flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(path, flags | safe_flags, 0o600)
    try:
        _check_file(path, os.fstat(descriptor).st_mode)
    except NotAFile:
        os.close(descriptor)
        raise
    return descriptor


def renew_file(path: Path) -> int:
    """Open a new, empty file for writing, in place of an existing file or link."""
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _check_file(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NotAFile(path, mode)


class Output:
    """Output of a command: a file of limited size, and one older file.

    Output that cannot be written is dropped: a full disk must not stop the command.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._file: int | None = None

    def write(self, data: bytes) -> None:
        """Write to the newer file, and rotate the files once it is full."""
        for start in range(0, len(data), self._limit):
            with suppress(OSError):
                self._write(data[start : start + self._limit])

    def _write(self, piece: bytes) -> None:
        file = self._open()
        if os.fstat(file).st_size + len(piece) > self._limit:
            # On a full disk the next file may fail to open. The closed one must not be used then.
            self._file = None
            os.close(file)
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            file = self._open()
        os.write(file, piece)

    def _open(self) -> int:
        if self._file is None:
            self._file = open_file(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        return self._file


class Runner:
    """Runner of the command that the folder's state.json names.

    Attributes:
        folder: The tenant's folder.
        lock: The descriptor of the command lock.
        reached: Called with the name of each failpoint, for tests.
    """

    def __init__(self, folder: Path, lock: int, reached: Callable[[str], None]) -> None:
        self.folder = folder
        self.lock = lock
        self.reached = reached
        self._run: Mapping[str, Any] = json.loads((folder / "state.json").read_bytes())["wanted"]
        self._config: Mapping[str, Any] = self._run["config"]
        self._status = {
            "run": self._run["run"],
            "pid": os.getpid(),
            "started": time.time(),
            "uptime": boot_clock(),
            "boot_id": boot_id(),
            "ticks": start_ticks(os.getpid()),
            "stop_timeout": self._config["stop_timeout"],
        }
        self._has_unwritten_status = False
        self._is_stopping = False
        # None before SIGTERM; infinite after SIGKILL.
        self._deadline: float | None = None

    def run(self) -> None:
        """Start the command, wait for its end, and write its status."""
        self.write_status()
        self.reached("runner:noted")
        signal.signal(signal.SIGTERM, self._request_stop)
        # A handler is needed for the wakeup descriptor to be written to.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            child = self._spawn()
        except (OSError, ValueError) as error:
            number = getattr(error, "errno", None) or errno.EINVAL
            self.write_status(ended=True, problem=errno.errorcode[number])
            return
        self.reached("runner:spawned")
        self.write_status(
            child=child.pid,
            child_ticks=start_ticks(child.pid),
            started=time.time(),
            uptime=boot_clock(),
        )
        self.reached("runner:running")
        self._wait_ended(child)
        self.write_status(ended=True, code=child.returncode)

    def write_status(self, **changes: object) -> None:
        """Update the status and write it into the folder.

        If the disk is full, the status is written later, while the command runs.
        """
        self._status.update(changes)
        self._has_unwritten_status = True
        path = self.folder / "note.json"
        new = path.with_name("note.json.new")
        # If the folder was removed, nobody needs the status.
        with suppress(OSError):
            with os.fdopen(renew_file(new), "w") as file:
                file.write(json.dumps(self._status))
            new.replace(path)
            self._has_unwritten_status = False

    def _spawn(self) -> Popen[bytes]:
        port = str(self._run["port"])
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

    def _request_stop(self, *_: object) -> None:
        self._is_stopping = True

    def _wait_ended(self, child: Popen[bytes]) -> None:
        """Copy the output until the command and its group have ended."""
        assert child.stdout is not None
        source = child.stdout.fileno()
        os.set_blocking(source, False)
        output = Output(self.folder / "output.log", self._run["output_limit"])
        with selectors.DefaultSelector() as selector:
            _wake_on_signals(selector)
            selector.register(source, selectors.EVENT_READ)
            while child.poll() is None or self._request_group_stop(child):
                self._stop_if_due(child)
                for key, _ in selector.select(self._next_pause(child)):
                    data = os.read(key.fd, _PIPE_BYTES)
                    if key.fd == source and data:
                        output.write(data)
                    elif key.fd == source:
                        selector.unregister(source)
        with suppress(BlockingIOError):
            output.write(os.read(source, _PIPE_BYTES))

    def _request_group_stop(self, child: Popen[bytes]) -> bool:
        """Request a stop of the processes that the command left; return whether to wait for it."""
        self._is_stopping = True
        # After SIGKILL there is nothing more to do for them.
        return self._deadline != math.inf and _has_group(child)

    def _next_pause(self, child: Popen[bytes]) -> float:
        if child.returncode is not None:
            # The rest of the group are not children of this process: no signal reports their end.
            return _GROUP_INTERVAL
        if self._deadline is None:
            return _FOLDER_INTERVAL
        return min(_FOLDER_INTERVAL, max(0.0, self._deadline - time.monotonic()))

    def _stop_if_due(self, child: Popen[bytes]) -> None:
        """Signal the command's group if a stop is requested, or its folder was removed."""
        if self._has_unwritten_status:
            self.write_status()
        if self._deadline is None:
            if self._is_stopping or not _is_same_file(self.lock, self.folder / "command.lock"):
                self._deadline = time.monotonic() + self._config["stop_timeout"]
                _signal_group(child, signal.SIGTERM)
        elif time.monotonic() >= self._deadline:
            self._deadline = math.inf
            _signal_group(child, signal.SIGKILL)


def _wake_on_signals(selector: selectors.BaseSelector) -> None:
    reader, writer = socket.socketpair()
    os.set_blocking(writer.fileno(), False)
    # Detached: both descriptors stay open until the process ends.
    signal.set_wakeup_fd(writer.detach())
    selector.register(reader.detach(), selectors.EVENT_READ)


def _signal_group(child: Popen[bytes], number: int) -> None:
    # On macOS a signal to a group with nothing but a zombie is not permitted.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _has_group(child: Popen[bytes]) -> bool:
    try:
        os.killpg(child.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _pass_by(_: str) -> None:
    """Do nothing. Only tests act on failpoints."""


def main(arguments: Sequence[str], reached: Callable[[str], None] = _pass_by) -> None:
    """Fork a runner with a new session. The parent, which the worker waits for, returns at once."""
    folder, lock = Path(arguments[0]), int(arguments[1])
    runner_lock = open_file(folder / "runner.lock", os.O_RDWR | os.O_CREAT)
    # This waits at most for a worker that is checking the lock. The child inherits the lock.
    fcntl.flock(runner_lock, fcntl.LOCK_EX)
    if os.fork() == 0:
        os.setsid()
        reached("runner:begun")
        Runner(folder, lock, reached).run()


if __name__ == "__main__":
    main(sys.argv[1:])
