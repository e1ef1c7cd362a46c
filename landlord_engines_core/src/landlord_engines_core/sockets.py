"""Listening on IPv4 and IPv6, if the machine and the name have both."""

import errno
import socket
from contextlib import ExitStack
from typing import Any

__all__ = ["BACKLOG", "open_listeners"]

BACKLOG = 2048

_NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""Errors for an address or a family that this machine lacks."""

_EVERYWHERE = frozenset({"", "::"})
"""Listen addresses that mean both families to Go's ``net.Listen``, and so to Landlord's worker."""


def open_listeners(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of a name; all sockets have the same port.

    Args:
        host: A name, or an address without brackets. Empty and ``::`` mean all interfaces, of both
            families; ``0.0.0.0`` means all interfaces of IPv4.
        port: 0 takes a free one.

    Raises:
        OSError: The name has no address, an address is in use, or none is an address of this machine.
            No socket is left open.
    """
    if host in _EVERYWHERE:
        return [_everywhere(port)]
    listeners: list[socket.socket] = []
    absent: OSError | None = None
    with ExitStack() as opened:
        for family, address in _addresses(host, port):
            at = (address[0], _port_of(listeners) or port, *address[2:])
            try:
                listener = socket.create_server(at, family=family, backlog=BACKLOG)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                absent = error
            else:
                listeners.append(opened.enter_context(listener))
        if absent is not None and not listeners:
            raise absent
        opened.pop_all()
    return listeners


def _everywhere(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
    return socket.create_server(("", port), backlog=BACKLOG)


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:
        # Python refuses a label of more than 63 characters before it asks the resolver.
        raise OSError(errno.EINVAL, f"{host!r} is not the name of a host") from error
    return list(dict.fromkeys((family, address) for family, _, _, _, address in infos))


def _port_of(listeners: list[socket.socket]) -> int:
    return int(listeners[0].getsockname()[1]) if listeners else 0
