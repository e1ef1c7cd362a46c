from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL

import pytest

from landlord_engines_core.listening import listening_hint


@pytest.mark.parametrize(
    ("number", "port", "hint"),
    [
        (EACCES, 80, "a port below 1024 needs root or CAP_NET_BIND_SERVICE: set x"),
        (EACCES, 8080, "stop the process that listens there, or change x"),
        (EADDRNOTAVAIL, 80, "set x to an address of this machine"),
        (EADDRINUSE, 80, "stop the process that listens there, or change x"),
    ],
)
def test_each_reason_has_its_own_hint(number: int, port: int, hint: str) -> None:
    assert listening_hint(OSError(number, "no"), port, "x").startswith(hint)
