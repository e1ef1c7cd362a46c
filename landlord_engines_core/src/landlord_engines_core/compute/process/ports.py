"""Which tenant has which port: one symbolic link for each, since two workers cannot make the same.

A tenant notes a port in its own folder before it claims it, so that no crash leaves a claim behind.
"""

import errno
import itertools
import re
import socket
import zlib
from contextlib import suppress
from pathlib import Path

import attrs

from landlord_engines_core.compute.process.config import Ports
from landlord_engines_core.compute.process.removal import remove_name
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = ["PortClaims"]

_NUMBER = re.compile(r"[0-9]{1,5}")


@attrs.frozen
class PortClaims:
    """The claims of one tenant among those of all.

    Attributes:
        tenant: The tenant's folder.
        ports: The range to choose from.
    """

    tenant: Path
    ports: Ports

    def fixed(self, port: int, *, own: int) -> int:
        """Claim the port that the tenant asks for; ``own`` is the one that its process has now.

        Raises:
            ComputeRefused: Another tenant has it.
            ComputeUnavailable: A process that is no tenant's has it.
        """
        if not self._claim(port):
            raise ComputeRefused(
                "$.port belongs to another tenant", hint="take another port, or leave it out"
            )
        if port != own and not _is_free(port):
            raise ComputeUnavailable("$.port is in use by another process of this machine")
        return port

    def chosen(self, former: int, *, own: int) -> int:
        """Claim a port that nobody uses, the former one if that is possible.

        Raises:
            ComputeUnavailable: There is none.
        """
        size = self.ports.last - self.ports.first + 1
        # Apart from each other also where workers with folders of their own share a machine.
        start = zlib.crc32(bytes(self.tenant))
        others = (self.ports.first + (start + step) % size for step in range(size))
        for port in itertools.chain((former,) if former else (), others):
            if self._claim(port) and (port == own or _is_free(port)):
                return port
        raise ComputeUnavailable(
            "no port is free for this tenant", hint="widen compute.process.ports"
        )

    def keep(self, *ports: int) -> None:
        """Give back all of this tenant's ports but these."""
        for noted in self._notes():
            if int(noted.name) not in ports:
                self._give_back(noted.name)
                remove_name(noted)

    def give_up(self) -> None:
        """Give back all of this tenant's ports, whatever became of its own notes of them."""
        for link in self._links.glob("*"):
            self._give_back(link.name)

    def _give_back(self, port: str) -> None:
        if self._owner(port) == self.tenant.name:
            self._link(port).unlink()

    def _notes(self) -> list[Path]:
        # The tenant can change this folder: there may be a link in its place, and any names.
        if self._noted.is_symlink():
            return []
        return [path for path in self._noted.glob("*") if _NUMBER.fullmatch(path.name)]

    @property
    def _noted(self) -> Path:
        return self.tenant / "ports"

    @property
    def _links(self) -> Path:
        return self.tenant.parent / "ports"

    def _claim(self, port: int) -> bool:
        link = self._link(str(port))
        link.parent.mkdir(mode=0o700, exist_ok=True)
        self._note(str(port))
        try:
            link.symlink_to(self.tenant.name)
        except FileExistsError:
            return self._owner(str(port)) == self.tenant.name
        return True

    def _note(self, port: str) -> None:
        if self._noted.is_symlink() or (self._noted.exists() and not self._noted.is_dir()):
            remove_name(self._noted)
        self._noted.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            (self._noted / port).touch(0o600, exist_ok=False)

    def _owner(self, port: str) -> str:
        try:
            return str(self._link(port).readlink())
        except FileNotFoundError:
            return ""

    def _link(self, port: str) -> Path:
        return self._links / port


def _is_free(port: int) -> bool:
    """Whether a command could listen there, on whatever address."""
    with socket.socket() as tried:
        # Connections of the tenant's last run that are still closing do not count.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("", port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True
