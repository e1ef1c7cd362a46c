import pytest

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings import Secret, Url
from landlord_engines_restate.settings import RestateSettings

ADMIN = Url("http://restate:9070")
KEY = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"


def settings(**values: object) -> RestateSettings:
    return RestateSettings(**{"admin_endpoint": ADMIN, **values})  # type: ignore[arg-type]  # as a file gives them


def test_the_defaults_need_nothing_but_the_admin_endpoint() -> None:
    section = settings()

    section.check()

    assert section.listen_address() == ("127.0.0.1", 9080)
    assert section.advertised_url == "http://127.0.0.1:9080"
    assert section.worker_register_on_startup


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (":9080", ("", 9080)),
        ("10.0.0.7:81", ("10.0.0.7", 81)),
        ("localhost:9080", ("localhost", 9080)),
        ("[::1]:9080", ("::1", 9080)),
    ],
)
def test_an_address_is_host_and_port_as_landlords_worker_reads_it(
    address: str, expected: tuple[str, int]
) -> None:
    assert settings(worker_address=address).listen_address() == expected


@pytest.mark.parametrize("address", ["", "9080", ":", "host:", "host:x", ":70000", ":-1", ":0"])
def test_an_address_without_a_usable_port_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(SettingsError, match="worker_address") as caught:
        settings(worker_address=address).listen_address()

    assert ":9080" in caught.value.hint


def test_the_workers_own_admin_endpoint_takes_precedence() -> None:
    assert settings().admin_url == ADMIN
    assert settings(worker_admin_endpoint=Url("http://inner:1")).admin_url == "http://inner:1"


def test_without_an_admin_endpoint_both_keys_are_named() -> None:
    with pytest.raises(SettingsError) as caught:
        RestateSettings().check()

    assert "workflow.restate.admin_endpoint" in str(caught.value)
    assert "worker_admin_endpoint" in str(caught.value)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("localhost:9", "http://localhost:9"),
        ("[::1]:9", "http://[::1]:9"),
    ],
)
def test_on_loopback_the_worker_knows_its_own_url(address: str, url: str) -> None:
    assert settings(worker_address=address).advertised_url == url


def test_an_advertised_url_is_used_unchanged() -> None:
    url = Url("https://worker.example/base")

    assert settings(worker_advertised_url=url, worker_address=":9080").advertised_url == url


@pytest.mark.parametrize("url", ["http://w:1?version=2", "http://w:1/base?"])
def test_an_advertised_url_with_a_query_is_refused_when_the_worker_starts(url: str) -> None:
    with pytest.raises(SettingsError, match=r"worker_advertised_url .* has a query") as caught:
        settings(worker_advertised_url=Url(url)).check()

    assert "remove the query" in caught.value.hint


@pytest.mark.parametrize("url", ["http://bücher.example:1", "http://w:1/a b", "http://w:1/\x00"])
def test_an_advertised_url_that_restate_does_not_accept_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"worker_advertised_url .* has a character") as caught:
        settings(worker_advertised_url=Url(url)).check()

    assert "xn--" in caught.value.hint


def test_beyond_loopback_the_advertised_url_is_required() -> None:
    with pytest.raises(SettingsError, match="worker_advertised_url"):
        settings(worker_address=":9080", allow_unsigned=True).check()


@pytest.mark.parametrize("address", [":9080", "10.0.0.7:9080", "worker:9080", "[::]:9080"])
def test_beyond_loopback_without_identity_keys_both_remedies_are_named(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(worker_address=address, worker_advertised_url=Url("http://w:1")).check()

    assert "workflow.restate.identity_keys" in caught.value.hint
    assert "workflow.restate.allow_unsigned" in caught.value.hint


@pytest.mark.parametrize("extra", [{"identity_keys": (KEY,)}, {"allow_unsigned": True}])
def test_beyond_loopback_identity_keys_or_allow_unsigned_are_accepted(
    extra: dict[str, object],
) -> None:
    settings(worker_address=":9080", worker_advertised_url=Url("http://w:1"), **extra).check()


@pytest.mark.parametrize("auth_type", ["", "none", "iam"])
def test_the_api_key_is_sent_only_with_its_auth_type(auth_type: str) -> None:
    section = settings(auth_type=auth_type, api_key=Secret("k"))

    section.check()

    assert section.bearer is None


def test_an_api_key_is_sent_as_bearer_token_and_never_shown() -> None:
    section = settings(auth_type="api_key", api_key=Secret("very-secret"))

    section.check()

    assert section.bearer == "very-secret"
    assert "very-secret" not in repr(section)


def test_the_type_api_key_without_a_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="api_key is not set"):
        settings(auth_type="api_key").check()


@pytest.mark.parametrize("key", ["line\n", "\rx", "nul\0"])
def test_an_api_key_that_no_header_can_contain_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(SettingsError, match="api_key") as caught:
        settings(auth_type="api_key", api_key=Secret(key)).check()

    assert key not in str(caught.value)


def test_an_unknown_auth_type_is_refused() -> None:
    with pytest.raises(SettingsError, match="none, api_key, iam"):
        settings(auth_type="basic").check()


@pytest.mark.parametrize(
    ("values", "service"),
    [
        ({}, "TenantProvisioning"),
        ({"service_name": "Mine"}, "Mine"),
        ({"worker_service_prefix": "blue"}, "blue-TenantProvisioning"),
        ({"worker_namespace": "eu", "worker_service_prefix": "blue"}, "eu-blue-TenantProvisioning"),
    ],
)
def test_all_services_share_one_base_name(values: dict[str, str], service: str) -> None:
    names = settings(**values).names

    assert names.service == service
    assert names.lock == f"{service}Tenant"
    assert names.unprefixed_service == values.get("service_name", "TenantProvisioning")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "hush",
        "-----BEGIN PUBLIC KEY-----",
        "publickeyv1_",
        "publickeyv1_...",
        KEY[:-1],
        f"{KEY}f",
        KEY.replace("w7", "O0"),
        KEY.removeprefix("publickeyv1_"),
    ],
)
def test_an_invalid_public_key_is_named_by_its_position_and_not_shown(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(identity_keys=(KEY, key)).check()

    assert "workflow.restate.identity_keys[1]" in caught.value.message
    assert "hush" not in str(caught.value)
