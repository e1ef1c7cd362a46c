import json
import sys

import pytest
from hypothesis import example, given, strategies as st

from landlord_engines_core import jsontext
from landlord_engines_core.jsontext import MAX_DEPTH, BadNumber, NotJson
from landlord_test_target.strategies import configs


def found(text: str) -> list[tuple[str, str]]:
    return [(member.key, member.text) for member in jsontext.members(text)]


@given(configs, st.sampled_from([None, 1, "\t"]))
def test_the_members_of_any_object_are_found_as_they_were_written(
    config: dict[str, object], indent: int | str | None
) -> None:
    text = json.dumps(config, indent=indent)

    assert {key: json.loads(value) for key, value in found(text)} == config


@given(st.text('{}[]:,"\\u0dn1e-.+ \ntfNI') | st.text())
@example('{"a": [1, {"b": "\\n"}, [], {}]}')
@example('{"a": [01]}')
@example('{"a": {"b" 1}}')
@example('{"a": [1 2]}')
@example('{"a": "\t"}')
@example('{"a": tru}')
@example('{"a": 1} x')
def test_a_text_that_python_reads_as_no_object_is_refused(text: str) -> None:
    try:
        expected = isinstance(json.loads(text), dict)
    except ValueError:
        expected = False

    try:
        found(text)
    except NotJson:
        assert not expected
    else:
        assert expected


@pytest.mark.parametrize(
    ("text", "position"),
    [("", 0), ("[]", 0), (" 1", 1), ('{"a"', 4), ('{"a":1,}', 7), ('{"a":[1}', 7), ("{}{", 2)],
)
def test_text_that_is_no_object_is_refused_with_its_position(text: str, position: int) -> None:
    with pytest.raises(NotJson) as caught:
        found(text)

    assert caught.value.position == position


@pytest.mark.parametrize("opening", ["[", '{"k":'])
def test_members_are_found_beside_any_depth(opening: str) -> None:
    depth = 50 * sys.getrecursionlimit()
    deep = opening * depth + "1" + ("]" if opening == "[" else "}") * depth

    assert found(f'{{"deep": {deep}, "after": true}}') == [("deep", deep), ("after", "true")]


def test_a_repeated_member_is_found_twice() -> None:
    assert found('{"a":1,"a":[2]}') == [("a", "1"), ("a", "[2]")]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "9" * 9999])
def test_a_number_that_cannot_be_read_harms_its_own_member_only(number: str) -> None:
    text = f'{{"a": [{number}], "b": 1}}'

    assert found(text) == [("a", f"[{number}]"), ("b", "1")]
    with pytest.raises(BadNumber):
        jsontext.loads(text)


def test_the_largest_numbers_of_a_float64_are_read() -> None:
    assert jsontext.loads("1.7e308") == 1.7e308
    assert jsontext.loads("1" + "0" * 308) == 10**308


@pytest.mark.parametrize("depth", [0, MAX_DEPTH, MAX_DEPTH + 1])
def test_a_value_is_deep_from_one_level_more_than_are_read(depth: int) -> None:
    for opening, closing in (("[", "]"), ('{"k":', "}")):
        text = opening * depth + "1" + closing * depth
        assert jsontext.is_deep(jsontext.loads(text)) is (depth > MAX_DEPTH)


def test_empty_containers_count_as_a_level() -> None:
    text = "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)
    assert jsontext.is_deep(jsontext.loads(text))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'"\xff\xfe"', '"\ufffd\ufffd"'),
        (b'"\xe2\x82"', '"\ufffd\ufffd"'),
        (b'"\xed\xa0\x80"', '"\ufffd\ufffd\ufffd"'),
        (rb'"\ud800"', '"\ufffd"'),
        (rb'"\udc00\ud800x"', '"\ufffd\ufffdx"'),
        (rb'"\ud83d\ude00"', '"\U0001f600"'),
        (rb'"\ud83d\ud83d\ude00"', '"\ufffd\U0001f600"'),
        (rb'"\\ud800 \n"', '"\\ud800 \n"'),
        (rb'"\ud800\\ud800"', '"\ufffd\\ud800"'),
    ],
)
def test_invalid_unicode_is_replaced_as_in_go(raw: bytes, text: str) -> None:
    assert jsontext.loads(jsontext.decode(raw)) == text[1:-1]


@given(st.binary())
def test_any_bytes_become_text_that_utf8_holds(raw: bytes) -> None:
    jsontext.decode(raw).encode()
