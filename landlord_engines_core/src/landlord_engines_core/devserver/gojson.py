"""JSON as Landlord's Go program reads and writes it.

Its form decides the hash of a configuration, and so whether Landlord restarts a job. Keys are sorted,
and there are no spaces. ``<``, ``>``, ``&`` and the two line separators are escaped. Every number is a
float64 in its shortest form.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

__all__ = ["BadJson", "Struct", "config_hash", "decode", "encode", "read_back"]

_ESCAPED = re.compile("[<>&\u2028\u2029]")
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")

_GO_MESSAGES = {
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Expecting value": "looking for beginning of value",
    "Illegal trailing comma before end of array": "looking for beginning of value",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
}
"""Messages of Go's decoder by those of Python's."""


class BadJson(ValueError):
    """The text is not JSON. The message is as in Go, if the case is known."""


class Struct(dict[str, object]):
    """Object whose fields keep their order, as in a Go struct; other maps have sorted keys."""


def decode(raw: bytes) -> object:
    """Read a document; all its numbers are floats.

    Raises:
        BadJson: The text is no JSON document.
    """
    text = raw.decode(errors="replace")
    try:
        return json.loads(
            text, parse_int=_read_number, parse_float=_read_number, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        raise BadJson(_translate_error(text, error)) from None
    except RecursionError:
        raise BadJson("exceeded max depth") from None


def encode(value: object) -> bytes:
    """Write a document of plain values."""
    return _text(value).encode()


def read_back(config: Mapping[str, object]) -> dict[str, object]:
    """Convert a configuration to what a client reads from Landlord: with whole numbers."""
    document: dict[str, object] = json.loads(encode(config))
    return document


def config_hash(config: Mapping[str, object]) -> str:
    """Hash a configuration as Landlord does: SHA-256 in hex, or empty for an empty one."""
    return hashlib.sha256(encode(config)).hexdigest() if config else ""


def _translate_error(text: str, error: json.JSONDecodeError) -> str:
    if error.pos >= len(text):
        return "unexpected EOF" if text.strip() else "EOF"
    words = _GO_MESSAGES.get(error.msg, "in literal")
    return f"invalid character '{text[error.pos]}' {words}"


def _read_number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise BadJson("json: cannot unmarshal number into Go value of type float64")
    return number


def _refuse_constant(text: str) -> object:
    raise BadJson(f"invalid character '{text[0]}' looking for beginning of value")


def _text(value: object) -> str:
    match value:
        case str():
            return _string(value)
        case bool() | None:
            return json.dumps(value)
        case float():
            return _number(value)
        case Mapping():
            fields = value.items() if isinstance(value, Struct) else sorted(value.items())
            return _enclose("{", (f"{_string(key)}:{_text(inner)}" for key, inner in fields), "}")
        case list() | tuple():
            return _enclose("[", map(_text, value), "]")
        case _:
            return str(value)


def _enclose(opening: str, parts: Iterable[str], closing: str) -> str:
    return f"{opening}{','.join(parts)}{closing}"


def _string(value: str) -> str:
    text = json.dumps(_HALF_A_PAIR.sub("\ufffd", value), ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _number(value: float) -> str:
    """Write the shortest form: an exponent below 1e-6 and from 1e21 on, without leading zeros."""
    shortest = repr(value)
    if value and not 1e-6 <= abs(value) < 1e21:  # noqa: PLR2004  # Go's bounds
        return shortest.replace("e-0", "e-")
    digits = format(Decimal(shortest), "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
