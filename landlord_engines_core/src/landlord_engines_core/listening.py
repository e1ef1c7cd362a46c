"""Hint for an address that the worker cannot listen on."""

from errno import EACCES, EADDRNOTAVAIL

__all__ = ["listening_hint"]

_PRIVILEGED = 1024


def listening_hint(error: OSError, port: int, setting: str) -> str:
    """Choose the next action if the worker cannot listen on an address.

    Args:
        error: The system's error.
        port: The port.
        setting: The setting with the address.
    """
    if error.errno == EACCES and port < _PRIVILEGED:
        return (
            f"a port below {_PRIVILEGED} needs root or CAP_NET_BIND_SERVICE: set {setting} to a"
            " higher port"
        )
    if error.errno == EADDRNOTAVAIL:
        return f"set {setting} to an address of this machine"
    return f"stop the process that listens there, or change {setting}"
