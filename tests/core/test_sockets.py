import errno
import socket

import pytest

from landlord_engines_core.sockets import open_listeners

IPV4 = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
IPV6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0))
ELSEWHERE = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))


def answering_hosts(listeners: list[socket.socket]) -> set[str]:
    """Return the loopback addresses on which somebody listens."""
    port = listeners[0].getsockname()[1]
    hosts = set()
    for host in ("127.0.0.1", "::1"):
        try:
            socket.create_connection((host, port), timeout=5).close()
        except ConnectionRefusedError:
            continue
        hosts.add(host)
    for listener in listeners:
        listener.close()
    return hosts


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: object) -> None:
    """Make every name resolve to these addresses."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(addresses))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", {"127.0.0.1", "::1"}),
        ("::", {"127.0.0.1", "::1"}),
        ("0.0.0.0", {"127.0.0.1"}),
        ("127.0.0.1", {"127.0.0.1"}),
        ("::1", {"::1"}),
    ],
)
def test_all_interfaces_include_ipv4_and_ipv6(host: str, expected: set[str]) -> None:
    assert answering_hosts(open_listeners(host, 0)) == expected


def test_a_name_with_both_families_gets_a_listener_on_both(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, IPV4, IPV6, IPV4)

    listeners = open_listeners("worker", 0)

    assert len({listener.getsockname()[1] for listener in listeners}) == 1
    monkeypatch.undo()
    assert answering_hosts(listeners) == {"127.0.0.1", "::1"}


def test_an_address_of_another_machine_is_skipped_if_a_local_one_exists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_to(monkeypatch, ELSEWHERE, IPV4)

    (listener,) = open_listeners("worker", 0)

    assert listener.getsockname()[0] == "127.0.0.1"
    listener.close()


def test_a_name_with_only_addresses_of_another_machine_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_to(monkeypatch, ELSEWHERE)

    with pytest.raises(OSError, match="assign") as caught:
        open_listeners("worker", 0)

    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_if_one_address_is_taken_no_listener_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        resolve_to(monkeypatch, IPV6, IPV4)

        with pytest.raises(OSError, match="in use"):
            open_listeners("worker", port)
    resolve_to(monkeypatch, IPV6)
    (free,) = open_listeners("worker", port)
    free.close()


def test_a_port_that_is_taken_on_one_family_is_taken() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="in use"),
    ):
        open_listeners("", taken.getsockname()[1])


@pytest.mark.parametrize("lacks", ["the family", "its addresses"])
def test_a_machine_without_ipv6_listens_on_ipv4(
    monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    real = socket.create_server

    def socket_without_ipv6(
        *args: object, family: int = socket.AF_INET, **more: object
    ) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "not supported")
        return real(*args, **more)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(socket, "create_server", socket_without_ipv6)
    if lacks == "the family":
        monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)

    assert answering_hosts(open_listeners("", 0)) == {"127.0.0.1"}


@pytest.mark.parametrize("name", ["no.such.host.invalid", "a" * 64])
def test_a_name_without_an_address_is_an_error(name: str) -> None:
    with pytest.raises(OSError, match=r"\w"):
        open_listeners(name, 0)
