"""Why an address cannot be listened on, and what to do."""

from errno import EACCES, EADDRNOTAVAIL

__all__ = ["listening_hint"]

_PRIVILEGED = 1024


def listening_hint(error: OSError, port: int, setting: str) -> str:
    """Say what to do where the system does not let the worker listen.

    Args:
        error: What the system raised.
        port: The port that was asked for.
        setting: The setting that holds the address.
    """
    if error.errno == EACCES and port < _PRIVILEGED:
        return (
            f"a port below {_PRIVILEGED} needs root or CAP_NET_BIND_SERVICE: set {setting} to a"
            " higher port"
        )
    if error.errno == EADDRNOTAVAIL:
        return f"set {setting} to an address of this machine"
    return f"stop what listens there, or set {setting}"
