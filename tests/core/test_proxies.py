import pytest

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.proxies import name_proxy, proxy_for

URL = "http://landlord.example.com:8080/v1"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
@pytest.mark.parametrize("value", ["http://proxy:3128", "proxy:3128"])
def test_the_scheme_chooses_the_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    assert proxy_for(URL) is None
    monkeypatch.setenv(name, value)

    assert proxy_for(URL) == "http://proxy:3128"
    assert proxy_for("https://landlord") is None
    monkeypatch.setenv("HTTPS_PROXY", "https://secure:1")
    assert proxy_for("https://landlord") == "https://secure:1"


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        (URL, "", False),
        (URL, "*", True),
        (URL, "example.com", True),
        (URL, "a, EXAMPLE.com ,b", True),
        (URL, ".example.com", True),
        (URL, "*.example.com", True),
        (URL, "ample.com", False),
        (URL, ".landlord.example.com", False),
        (URL, "landlord.example.com:8080", True),
        (URL, "landlord.example.com:80", False),
        ("http://landlord", "landlord:80", True),
        ("https://landlord", "landlord:443", True),
        ("http://landlord.example.com.", "example.com", True),
        (URL, ".,:80,*,,", True),
        (URL, ".,:8080,", False),
        ("http://localhost:1", "", True),
        ("http://127.8.9.1:1", "", True),
        ("http://[::1]:1", "", True),
        ("http://10.1.2.3", "10.0.0.0/8", True),
        ("http://10.1.2.3", "10.1.2.3", True),
        ("http://10.1.2.3:81", "10.1.2.3:80", False),
        ("http://10.1.2.3", "11.0.0.0/8,10.1.2.3/x", False),
        ("http://landlord", "10.0.0.0/8,10.1.2.3", False),
        ("http://[fd00::1]:80", "fd00::/8", True),
        ("http://[fd00::1]:80", "[FD00::1]:80", True),
        ("http://[fd00::1]", "fd00::1", True),
        ("http://[fd00::1]:80", "[fd00::1]", True),
        ("http://[fd00::1]:80", "[fd00::1]:81", False),
    ],
)
def test_no_proxy_is_read_as_go_reads_it(
    monkeypatch: pytest.MonkeyPatch, url: str, no_proxy: str, *, direct: bool
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)

    assert (proxy_for(url) is None) is direct


@pytest.mark.parametrize(
    "value", ["socks5://sesame@proxy:1", "http://", "http://proxy:x", "http://[sesame"]
)
def test_a_proxy_that_is_not_http_is_named_by_its_variable_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", value)

    with pytest.raises(SettingsError, match="HTTP_PROXY") as caught:
        proxy_for(URL)

    assert "landlord.example.com in NO_PROXY" in caught.value.hint
    assert "sesame" not in str(caught.value)


def test_an_error_names_the_proxy_without_its_password() -> None:
    assert name_proxy(None, "status 502") == "status 502"
    assert name_proxy("http://proxy:1", "502") == "502 (through the proxy proxy:1; see NO_PROXY)"
    message = name_proxy("http://ann:sesame@proxy:3128", "502 of http://ann:sesame@proxy:3128")
    assert message.startswith("502 of http://proxy:3128 (through the proxy proxy:3128;")
