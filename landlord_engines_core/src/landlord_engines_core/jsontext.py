"""Reads JSON by the rules of Go's encoding/json, and an object's members without their insides.

Python's reader takes some of the stack for each level of nesting and builds every value. `members`
does neither: it walks over what lies inside a member, however deep, and keeps one byte per level.
Invalid UTF-8 and half surrogate pairs become U+FFFD, as in Go. ``NaN`` and ``Infinity``, which other
writers send, are no reason to refuse a document that is otherwise JSON: only their member is
unreadable.
"""

import codecs
import json
import math
import re
from collections.abc import Iterator

import attrs

__all__ = ["MAX_DEPTH", "BadNumber", "Member", "NotJson", "decode", "is_deep", "loads", "members"]

MAX_DEPTH = 500
"""Levels of nesting that are read; each level takes some of Python's stack, also later on."""

_SPACE = r"[ \t\n\r]*"
_NAME = r'"[^"\\\x00-\x1f]*"'
_SCALAR = rf"(?:{_NAME}|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)"


def _list(value: str, most: int) -> str:
    """A pattern for up to so many values, each with a comma behind it."""
    return f"(?:{_SPACE}{value}{_SPACE},){{0,{most}}}"


def _named(value: str) -> str:
    return f"{_NAME}{_SPACE}:{_SPACE}{value}"


def _leaf(opening: str, value: str, closing: str) -> str:
    return rf"\{opening}(?:{_list(value, 20)}{_SPACE}{value})?{_SPACE}\{closing}"


# Most of a value is walked over by these: each value would take a turn of Python's loop otherwise.
# The bounds are there since the matcher keeps something for each turn of a group.
_SIMPLE = f"(?:{_SCALAR}|{_leaf('[', _SCALAR, ']')}|{_leaf('{', _named(_SCALAR), '}')})"
_RUNS = {
    ord("]"): re.compile(_list(_SIMPLE, 100)),
    ord("}"): re.compile(_list(_named(_SIMPLE), 100)),
}
_OPENINGS = {
    "[": re.compile(rf"(?:\[{_SPACE}){{1,1000}}"),
    "{": re.compile(rf'(?:\{{{_SPACE}"[^"\\\x00-\x1f{{]*"{_SPACE}:{_SPACE}){{1,1000}}'),
}
_CLOSING = {"[": ord("]"), "{": ord("}")}

_brackets = re.compile(r"[\]}]*")
_space = re.compile(_SPACE)
_half_pair = re.compile(r"\\u[dD][89a-fA-F]")
_escape = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


class NotJson(ValueError):
    """The text is not JSON, or no object where one is needed.

    Attributes:
        position: The character at which that shows.
    """

    def __init__(self, position: int) -> None:
        super().__init__(f"not JSON at character {position}")
        self.position = position


class BadNumber(ValueError):
    """A number that JSON does not have, or that a float64 does not hold."""


@attrs.frozen
class Member:
    """A member of an object, not yet read.

    Attributes:
        text: The value as it was written.
    """

    key: str
    text: str


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    """Replace each byte by itself, as Go does; Python's own handler replaces some together."""
    assert isinstance(error, UnicodeDecodeError), "registered for decoding only"
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error("landlord-engines-each-byte", _each_byte)


def _no_constant(_: str) -> object:
    raise BadNumber


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise BadNumber
    return number


def _whole(text: str) -> int:
    if len(text) > 300:  # noqa: PLR2004  # a float64 has at most 309 digits before the point
        _finite(text)
    return int(text)


def _passed(_: str) -> None:
    return None


_decoder = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite, parse_int=_whole)
_passer = json.JSONDecoder(parse_constant=_passed, parse_float=_passed, parse_int=_passed)


def decode(raw: bytes) -> str:
    """Turn bytes into text in which each string is valid Unicode."""
    text = raw.decode(errors="landlord-engines-each-byte")
    if _half_pair.search(text) is None:
        return text
    return _escape.sub(lambda found: r"\ufffd" if found["half"] else found[0], text)


def loads(text: str) -> object:
    """Read a document.

    Raises:
        NotJson: It is none.
        BadNumber: It holds a number that cannot be read.
        RecursionError: It is nested more deeply than the rest of the stack allows.
    """
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(error.pos) from None


def is_deep(value: object) -> bool:
    """Whether a value has more than `MAX_DEPTH` levels."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [inner for inner in level if isinstance(inner, dict | list)]
        if not containers:
            return False
        level = [
            inner
            for outer in containers
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return True


def members(text: str) -> Iterator[Member]:
    """Find the members of an object in their order, with duplicates.

    Raises:
        NotJson: The text is no object; raised at the latest after the last member.
    """
    at, closed = _opened(text)
    while not closed:
        key, at = _key(text, at)
        start = _after_space(text, at)
        at = _skip(text, start)
        yield Member(key, text[start:at])
        at = _after_space(text, at)
        closed = text.startswith("}", at)
        at = _expect(text, at, "}" if closed else ",")
    if (end := _after_space(text, at)) != len(text):
        raise NotJson(end)


def _opened(text: str) -> tuple[int, bool]:
    at = _after_space(text, _expect(text, 0, "{"))
    return (at + 1, True) if text.startswith("}", at) else (at, False)


def _after_space(text: str, at: int) -> int:
    found = _space.match(text, at)
    return found.end() if found else at


def _expect(text: str, at: int, sign: str) -> int:
    at = _after_space(text, at)
    if not text.startswith(sign, at):
        raise NotJson(at)
    return at + 1


def _scalar(text: str, at: int) -> tuple[object, int]:
    try:
        return _passer.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise NotJson(error.pos) from None


def _key(text: str, at: int) -> tuple[str, int]:
    """Read a member's name and the colon behind it."""
    key, end = _scalar(text, _expect(text, at, '"') - 1)
    return str(key), _expect(text, end, ":")


def _skip(text: str, at: int) -> int:
    """Walk over one value: the position behind it."""
    closing = bytearray()
    while True:
        if (head := text[at : at + 1]) in _CLOSING:
            at, at_value = _open(text, at, head, closing)
            if at_value:
                continue
        else:
            _, at = _scalar(text, at)
        at = _close(text, at, closing)
        if not closing:
            return at
        at = _next(text, _expect(text, at, ","), closing[-1])


def _open(text: str, at: int, head: str, closing: bytearray) -> tuple[int, bool]:
    """Walk into a container, and into all that begin with it.

    Returns:
        The position, and whether it is that of a value; it is behind an opening bracket otherwise.
    """
    if found := _OPENINGS[head].match(text, at):
        closing += bytes((_CLOSING[head],)) * text.count(head, at, found.end())
        at = found.end()
    else:
        closing.append(_CLOSING[head])
        at = _after_space(text, at + 1)
    if text.startswith(chr(closing[-1]), at) and not (found and head == "{"):
        return at, False
    if head == "[" or not found:
        at = _next(text, at, closing[-1])
    return at, True


def _close(text: str, at: int, closing: bytearray) -> int:
    """Walk over the brackets that close here."""
    while closing:
        behind = _after_space(text, at)
        found = _brackets.match(text, behind, behind + len(closing))
        if not found or not found[0]:
            return at
        if closing[: -len(found[0]) - 1 : -1] != found[0].encode():
            raise NotJson(behind)
        del closing[-len(found[0]) :]
        at = found.end()
    return at


def _next(text: str, at: int, kind: int) -> int:
    """Walk over simple values up to the next one that is none, and over its name in an object."""
    found = _RUNS[kind].match(text, at)
    at = found.end() if found else at
    if kind == _CLOSING["{"]:
        _, at = _key(text, at)
    return _after_space(text, at)
