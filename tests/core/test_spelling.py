import pytest

from landlord_engines_core.spelling import find_closest, is_typo

KEYS = (
    "admin_endpoint",
    "worker_admin_endpoint",
    "api_key",
    "auth_type",
    "endpoint",
    "timeout",
    "worker_address",
)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LOG_LEVL", "LOG_LEVEL"),
        ("LOG_LEEVL", "LOG_LEVEL"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("COMPUT", "COMPUTE"),
        ("COMPUTES", "COMPUTE"),
        ("DRIAN_TIMEOTU", "DRAIN_TIMEOUT"),
    ],
)
def test_a_slip_of_the_keyboard_is_a_typo(name: str, meant: str) -> None:
    assert is_typo(name, meant)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LOG_LEVEL", "LOG_LEVEL"),
        ("LOGNAME", "LOG_LEVEL"),
        ("LOG_DIR", "LOG_LEVEL"),
        ("COMPUTR_X", "COMPUTE"),
        ("PATH", "PORT"),
        ("EC2", "ECS"),
        ("DOCKER", "PROCESS"),
    ],
)
def test_another_word_is_no_typo(name: str, meant: str) -> None:
    assert not is_typo(name, meant)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("admin", "admin_endpoint"),
        ("admin_url", "admin_endpoint"),
        ("admin_endpont", "admin_endpoint"),
        ("worker_admin", "worker_admin_endpoint"),
        ("apikey", "api_key"),
        ("endpoints", "endpoint"),
        ("timeouts_", "timeout"),
        ("worker_adress", "worker_address"),
        ("worker_zzz", ""),
        ("zzz", ""),
    ],
)
def test_a_misspelt_key_gets_a_suggestion(name: str, meant: str) -> None:
    assert find_closest(name, KEYS) == meant
