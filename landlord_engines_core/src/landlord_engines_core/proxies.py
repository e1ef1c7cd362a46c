"""The proxy for a URL, by HTTP_PROXY, HTTPS_PROXY and NO_PROXY.

The rules are those of Go's ``net/http``, and so of Landlord's worker; see
https://pkg.go.dev/golang.org/x/net/http/httpproxy. No proxy is used for loopback. NO_PROXY lists names,
addresses and networks. A name includes its subdomains. A name or an address may have a port.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies_environment

from landlord_engines_core.errors import SettingsError

__all__ = ["name_proxy", "proxy_for"]

_PORTS = {"http": 80, "https": 443}


def proxy_for(url: str) -> str | None:
    """Find the URL of the proxy for ``url``; ``None`` for a direct connection.

    Raises:
        SettingsError: The variable does not contain the URL of an HTTP proxy.
    """
    target = urlsplit(url)
    environment = getproxies_environment()
    proxy = environment.get(target.scheme, "").strip()
    if not proxy or _is_direct(target, environment.get("no", "")):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not _is_http(proxy):
        # The value is not shown: it may contain a password.
        raise SettingsError(
            f"{target.scheme.upper()}_PROXY is not the URL of an HTTP proxy",
            hint=f"for example http://proxy:3128; or name {target.hostname} in NO_PROXY",
        )
    return proxy


def name_proxy(proxy: str | None, reason: str) -> str:
    """Add the proxy, without its password, to the reason of a failure."""
    if proxy is None:
        return reason
    # aiohttp shows the whole URL if the proxy refuses a tunnel (observed with 3.14.5).
    credentials, at, host = urlsplit(proxy).netloc.rpartition("@")
    return f"{reason.replace(credentials + at, '')} (through the proxy {host}; see NO_PROXY)"


def _is_http(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in _PORTS and bool(parts.hostname)


def _is_direct(target: SplitResult, no_proxy: str) -> bool:
    host = (target.hostname or "").rstrip(".")
    port = str(target.port or _PORTS.get(target.scheme, 0))
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    entries = (entry.strip().lower() for entry in no_proxy.split(","))
    return any(_matches(entry, host, port, address) for entry in entries if entry)


def _matches(entry: str, host: str, port: str, address: IPv4Address | IPv6Address | None) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return address is not None and _in_network(address, entry)
    name, entry_port = _split(entry)
    if entry_port not in ("", port):
        return False
    if (entry_address := _address(name)) is not None:
        return entry_address == address
    name = name.removeprefix("*")
    if name.startswith("."):
        return host.endswith(name) and name != "."
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _split(entry: str) -> tuple[str, str]:
    """Split an entry into host and port; brackets enclose an IPv6 address before a port."""
    if entry.startswith("["):
        host, _, port = entry[1:].partition("]")
        return host, port.removeprefix(":")
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return host, port
    return entry, ""


def _in_network(address: IPv4Address | IPv6Address, network: str) -> bool:
    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
