from typing import Literal

import pytest

from landlord_engines_core.settings.types import (
    Address,
    Converter,
    Duration,
    LogLevel,
    Secret,
    Url,
    describe_type,
    format_duration as as_written,
    is_duration,
)


@pytest.mark.parametrize(
    ("format_duration", "seconds"),
    [("30s", 30), ("1h30m", 5400), ("500ms", 0.5), ("1.5m", 90), ("0", 0), (5, 5), ("2.5", 2.5)],
)
def test_a_duration_is_written_as_landlord_writes_it(
    format_duration: object, seconds: float
) -> None:
    assert Converter().structure(format_duration, Duration) == seconds


@pytest.mark.parametrize(
    "format_duration", ["", "soon", "-1s", "-1", "inf", "nan", True, None, "5 s"]
)
def test_a_text_that_is_no_duration_is_refused(format_duration: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the text is the caller's
        Converter().structure(format_duration, Duration)


@pytest.mark.parametrize(
    "format_duration", ["ftp://h", "h:80", "http://", "http://u:p@h", "http://h:x"]
)
def test_a_text_that_is_no_plain_url_is_refused(format_duration: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # as above
        Converter().structure(format_duration, Url)


def test_a_url_is_kept_as_it_is() -> None:
    assert Converter().structure("https://h:1/x", Url) == "https://h:1/x"


@pytest.mark.parametrize("format_duration", ["127.0.0.1:9082", ":0", "[::1]:65535", "host:1", ""])
def test_an_address_is_kept_as_it_is(format_duration: str) -> None:
    assert Converter().structure(format_duration, Address) == format_duration


@pytest.mark.parametrize("format_duration", ["host", 9082, "host:", "h:x", ":65536", None, False])
def test_a_text_that_is_no_address_is_refused(format_duration: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # as above
        Converter().structure(format_duration, Address)


@pytest.mark.parametrize(
    ("format_duration", "value"), [("1", True), ("F", False), (True, True), (0, False)]
)
def test_a_boolean_is_written_as_in_go(format_duration: object, value: bool) -> None:  # noqa: FBT001  # data
    assert Converter().structure(format_duration, bool) is value


@pytest.mark.parametrize(
    ("format_duration", "kind"), [("maybe", bool), (1.5, int), (True, int), ([], str), (None, str)]
)
def test_a_value_of_another_kind_is_refused(format_duration: object, kind: type) -> None:
    with pytest.raises((TypeError, ValueError)):
        Converter().structure(format_duration, kind)


def test_a_list_may_be_written_with_commas() -> None:
    assert Converter().structure("a, b,", tuple[str, ...]) == ("a", "b")
    assert Converter().structure(["a"], tuple[str, ...]) == ("a",)


def test_sections_may_be_json_and_empty() -> None:
    kind = dict[str, dict[str, object]]

    assert Converter().structure('{"mock": {"a": "1"}}', dict[str, dict[str, str]]) == {
        "mock": {"a": "1"}
    }
    with pytest.raises(Exception):  # noqa: B017, PT011  # the reader reports any error of a conversion with the setting's path
        Converter().structure(5, kind)


def test_a_secret_is_shown_as_stars() -> None:
    secret = Converter().structure("sesame", Secret)

    assert secret == "sesame"
    assert "sesame" not in repr(secret)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Duration, "a duration such as 30s, 1h30m or 500ms"),
        (Duration | None, "a duration such as 30s, 1h30m or 500ms"),
        (bool, "true or false"),
        (Literal["a", "b"], "one of a, b"),
        (tuple[str, ...], "a list of texts"),
        (dict[str, str], "a map"),
        (str, "a text"),
    ],
)
def test_an_error_describes_the_expected_type_in_words(kind: object, text: str) -> None:
    assert describe_type(kind) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (9.0, "9s"), (90, "1m30s"), (5400, "1h30m"), (0.5, "500ms"), (2592000, "720h")],
)
def test_a_duration_is_shown_in_the_form_of_the_settings(seconds: float, text: str) -> None:
    assert as_written(seconds) == text
    assert Converter().structure(text, Duration) == seconds


@pytest.mark.parametrize(
    ("text", "level"), [("WARNING", "warn"), ("warn", "warn"), ("Info", "info"), ("DEBUG", "debug")]
)
def test_a_log_level_may_have_the_names_of_other_tools(text: str, level: str) -> None:
    assert Converter().structure(text, LogLevel) == level


def test_an_unknown_log_level_is_refused() -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the text is the caller's
        Converter().structure("loud", LogLevel)


def test_a_duration_differs_from_other_types() -> None:
    assert is_duration(Duration)
    assert is_duration(Duration | None)
    assert not is_duration(Url | None)
