"""Reading JSON by the rules of Go's encoding/json, and an object's members one by one.

Python's reader uses the stack for each level of nesting, and builds every value. `members` does neither:
it skips the content of a member, however deep, and keeps one byte for each level. Invalid UTF-8 and half
surrogate pairs become U+FFFD, as in Go. ``NaN`` and ``Infinity``, which other writers send, make only
their member unreadable.
"""

import codecs
import json
import math
import re
from collections.abc import Iterator

import attrs

__all__ = ["MAX_DEPTH", "BadNumber", "Member", "NotJson", "decode", "is_deep", "loads", "members"]

MAX_DEPTH = 500
"""Levels of nesting that are read; each one uses Python's stack, also in later steps."""

_SPACE = r"[ \t\n\r]*"
_NAME = r'"[^"\\\x00-\x1f]*"'
_SCALAR = rf"(?:{_NAME}|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)"


def _list(value: str, most: int) -> str:
    """Make a pattern for up to ``most`` values, each followed by a comma."""
    return f"(?:{_SPACE}{value}{_SPACE},){{0,{most}}}"


def _member(value: str) -> str:
    return f"{_NAME}{_SPACE}:{_SPACE}{value}"


def _leaf(opening: str, value: str, closing: str) -> str:
    return rf"\{opening}(?:{_list(value, 20)}{_SPACE}{value})?{_SPACE}\{closing}"


# These patterns skip most of a value: otherwise each inner value would cost an iteration in Python.
# They are bounded because the matcher keeps memory for each repetition of a group.
_SIMPLE = f"(?:{_SCALAR}|{_leaf('[', _SCALAR, ']')}|{_leaf('{', _member(_SCALAR), '}')})"
_RUNS = {
    ord("]"): re.compile(_list(_SIMPLE, 100)),
    ord("}"): re.compile(_list(_member(_SIMPLE), 100)),
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
    """The text is not JSON, or not an object.

    Attributes:
        position: The character at which reading failed.
    """

    def __init__(self, position: int) -> None:
        super().__init__(f"not JSON at character {position}")
        self.position = position


class BadNumber(ValueError):
    """A number is not JSON's, or is too large for a float64."""


@attrs.frozen
class Member:
    """Member of an object, with an unread value.

    Attributes:
        key: The name.
        text: The value as JSON text.
    """

    key: str
    text: str


def _replace_each_byte(error: UnicodeError) -> tuple[str, int]:
    """Replace each invalid byte separately, as Go does."""
    # Python's handler replaces several bytes together.
    assert isinstance(error, UnicodeDecodeError), "registered for decoding only"
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error("landlord-engines-each-byte", _replace_each_byte)


def _refuse_constant(_: str) -> object:
    raise BadNumber


def _read_finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise BadNumber
    return number


def _read_whole(text: str) -> int:
    if len(text) > 300:  # noqa: PLR2004  # a float64 has at most 309 digits before the point
        _read_finite(text)
    return int(text)


def _ignore(_: str) -> None:
    return None


_decoder = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_read_finite, parse_int=_read_whole
)
_skipper = json.JSONDecoder(parse_constant=_ignore, parse_float=_ignore, parse_int=_ignore)


def decode(raw: bytes) -> str:
    """Decode bytes into text whose strings are valid Unicode."""
    text = raw.decode(errors="landlord-engines-each-byte")
    if _half_pair.search(text) is None:
        return text
    return _escape.sub(lambda match: r"\ufffd" if match["half"] else match[0], text)


def loads(text: str) -> object:
    """Read a document.

    Raises:
        NotJson: The text is no JSON document.
        BadNumber: The document contains a number that cannot be read.
        RecursionError: The document is nested more deeply than the stack allows.
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
    """Iterate over the members of an object in their order, with duplicates.

    Raises:
        NotJson: The text is no object. It is raised after the last member at the latest.
    """
    at, closed = _open_object(text)
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


def _open_object(text: str) -> tuple[int, bool]:
    at = _after_space(text, _expect(text, 0, "{"))
    return (at + 1, True) if text.startswith("}", at) else (at, False)


def _after_space(text: str, at: int) -> int:
    match = _space.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, sign: str) -> int:
    at = _after_space(text, at)
    if not text.startswith(sign, at):
        raise NotJson(at)
    return at + 1


def _scalar(text: str, at: int) -> tuple[object, int]:
    try:
        return _skipper.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise NotJson(error.pos) from None


def _key(text: str, at: int) -> tuple[str, int]:
    """Read a member's name and the colon that follows."""
    key, end = _scalar(text, _expect(text, at, '"') - 1)
    return str(key), _expect(text, end, ":")


def _skip(text: str, at: int) -> int:
    """Skip one value, and return the position after it."""
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
    """Enter a container, and all containers that start at its first value.

    Returns:
        The position, and whether a value starts there. Otherwise the container is empty.
    """
    if run := _OPENINGS[head].match(text, at):
        closing += bytes((_CLOSING[head],)) * text.count(head, at, run.end())
        at = run.end()
    else:
        closing.append(_CLOSING[head])
        at = _after_space(text, at + 1)
    if text.startswith(chr(closing[-1]), at) and not (run and head == "{"):
        return at, False
    if head == "[" or not run:
        at = _next(text, at, closing[-1])
    return at, True


def _close(text: str, at: int, closing: bytearray) -> int:
    """Skip the closing brackets at this position."""
    while closing:
        start = _after_space(text, at)
        brackets = _brackets.match(text, start, start + len(closing))
        if not brackets or not brackets[0]:
            return at
        # ``closing`` is a stack: the innermost bracket comes first in the text.
        if closing[: -len(brackets[0]) - 1 : -1] != brackets[0].encode():
            raise NotJson(start)
        del closing[-len(brackets[0]) :]
        at = brackets.end()
    return at


def _next(text: str, at: int, kind: int) -> int:
    """Skip simple values up to the next one that is not simple, and in an object its name."""
    run = _RUNS[kind].match(text, at)
    at = run.end() if run else at
    if kind == _CLOSING["{"]:
        _, at = _key(text, at)
    return _after_space(text, at)
