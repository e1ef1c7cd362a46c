import hashlib

import pytest

from landlord_engines_core.devserver.gojson import (
    BadJson,
    Struct,
    config_hash,
    decode,
    encode,
    read_back,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"b": 1, "a": {"d": [], "c": {}}}', '{"a":{"c":{},"d":[]},"b":1}'),
        ('"<a> & b\u2028"', '"\\u003ca\\u003e \\u0026 b\\u2028"'),
        ('"ü \\u00fc \\n \\"\\\\ \\u0007"', '"ü ü \\n \\"\\\\ \\u0007"'),
        ('"\\ud800x"', '"\ufffdx"'),
        ("[true, false, null]", "[true,false,null]"),
        ("[0, -0, 1, 1.0, 1.50, -7]", "[0,-0,1,1,1.5,-7]"),
        ("12345678901234567890", "12345678901234567000"),
        ("100000000000000000000", "100000000000000000000"),
        ("1000000000000000000000", "1e+21"),
        ("1e25", "1e+25"),
        ("1.5e300", "1.5e+300"),
        ("0.000001", "0.000001"),
        ("0.00000015", "1.5e-7"),
        ("1e-100", "1e-100"),
    ],
)
def test_a_document_is_written_as_go_writes_it(text: str, expected: str) -> None:
    assert encode(decode(text.encode())).decode() == expected


def test_a_struct_keeps_its_order_and_a_map_in_it_is_sorted() -> None:
    document = Struct(z=1, a={"y": 1, "x": ("1", 2)})

    assert encode(document) == b'{"z":1,"a":{"x":["1",2],"y":1}}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{nope", "invalid character 'n' looking for beginning of object key string"),
        (b"nope", "invalid character 'n' looking for beginning of value"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a": 1 2}', "invalid character '2' after object key:value pair"),
        (b"{} x", "invalid character 'x' after top-level value"),
        (b"[NaN]", "invalid character 'N' looking for beginning of value"),
        (b'{"a"', "unexpected EOF"),
        (b"", "EOF"),
        (b"1e999", "json: cannot unmarshal number into Go value of type float64"),
        (b"[" * 100_000, "exceeded max depth"),
    ],
)
def test_a_text_that_is_not_json_gets_the_error_text_of_go(text: bytes, message: str) -> None:
    with pytest.raises(BadJson) as caught:
        decode(text)

    assert str(caught.value) == message


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert decode(b'"\xff"') == "\ufffd"


def test_the_hash_is_that_of_the_bytes_that_are_sent_and_an_empty_configuration_has_none() -> None:
    config = {"b": "<", "a": 1.0}

    assert config_hash(config) == hashlib.sha256(b'{"a":1,"b":"\\u003c"}').hexdigest()
    assert config_hash({}) == ""


def test_a_whole_number_is_read_as_an_integer() -> None:
    config = decode(b'{"port": 18080, "share": 0.5}')
    assert isinstance(config, dict)

    read = read_back(config)

    assert read == {"port": 18080, "share": 0.5}
    assert isinstance(read["port"], int)
