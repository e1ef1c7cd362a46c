"""Claims of ports for tenants.

A claim is a symbolic link, named like the port, to the tenant's folder. Only one of two workers can
create it. An empty file in the tenant's folder, the note, is written before. After a crash the notes
thus list every claim.
"""

import errno
import itertools
import re
import socket
import zlib
from contextlib import suppress
from pathlib import Path

import attrs

from landlord_engines_core.compute.process.removal import remove_path
from landlord_engines_core.compute.process.settings import Ports
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = ["PortClaims"]

_NUMBER = re.compile(r"[0-9]{1,5}")


@attrs.frozen
class PortClaims:
    """The port claims of one tenant.

    Attributes:
        tenant: The tenant's folder.
        ports: The range to choose from.
    """

    tenant: Path
    ports: Ports

    def claim_fixed(self, port: int, *, current: int) -> int:
        """Claim the port that the tenant asks for.

        Args:
            port: The port.
            current: The port of the tenant's running process, or zero.

        Raises:
            ComputeRefused: The port belongs to another tenant.
            ComputeUnavailable: A process that does not belong to a tenant uses the port.
        """
        if not self._claim(port):
            raise ComputeRefused(
                "$.port belongs to another tenant",
                hint="choose another port, or omit it for a free one",
            )
        if port != current and not _is_free(port):
            raise ComputeUnavailable("$.port is in use by another process of this machine")
        return port

    def claim_free(self, previous: int, *, current: int) -> int:
        """Claim a port that nothing uses, preferably the previous one.

        Args:
            previous: The tenant's previous port, or zero.
            current: The port of the tenant's running process, or zero.

        Raises:
            ComputeUnavailable: No port is free.
        """
        size = self.ports.last - self.ports.first + 1
        # Workers with different folders may share a machine and see no claims of each other. The
        # search starts at a port that depends on the tenant, so they rarely try the same port.
        start = zlib.crc32(bytes(self.tenant))
        candidates = (self.ports.first + (start + step) % size for step in range(size))
        for port in itertools.chain((previous,) if previous else (), candidates):
            if self._claim(port) and (port == current or _is_free(port)):
                return port
        raise ComputeUnavailable(
            "no port is free for this tenant", hint="widen compute.process.ports"
        )

    def release_others(self, *ports: int) -> None:
        """Release all of this tenant's ports except these."""
        for note in self._list_notes():
            if int(note.name) not in ports:
                self._release(note.name)
                remove_path(note)

    def release_all(self) -> None:
        """Release all of this tenant's ports, even if its notes are gone."""
        for link in self._links_folder.glob("*"):
            self._release(link.name)

    def _release(self, port: str) -> None:
        if self._owner(port) == self.tenant.name:
            self._link(port).unlink()

    def _list_notes(self) -> list[Path]:
        # The tenant can write here. It may have replaced the folder by a link, or created any files.
        if self._notes_folder.is_symlink():
            return []
        return [path for path in self._notes_folder.glob("*") if _NUMBER.fullmatch(path.name)]

    @property
    def _notes_folder(self) -> Path:
        return self.tenant / "ports"

    @property
    def _links_folder(self) -> Path:
        return self.tenant.parent / "ports"

    def _claim(self, port: int) -> bool:
        link = self._link(str(port))
        link.parent.mkdir(mode=0o700, exist_ok=True)
        self._write_note(str(port))
        try:
            link.symlink_to(self.tenant.name)
        except FileExistsError:
            return self._owner(str(port)) == self.tenant.name
        return True

    def _write_note(self, port: str) -> None:
        folder = self._notes_folder
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            remove_path(folder)
        folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            (folder / port).touch(0o600, exist_ok=False)

    def _owner(self, port: str) -> str:
        try:
            return str(self._link(port).readlink())
        except FileNotFoundError:
            return ""

    def _link(self, port: str) -> Path:
        return self._links_folder / port


def _is_free(port: int) -> bool:
    """Return whether a command could listen on a port, at any address."""
    with socket.socket() as probe:
        # Without this, closing connections of the last run would make the port look busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            # Another error, such as a missing permission, does not mean that the port is in use.
            return error.errno != errno.EADDRINUSE
    return True
