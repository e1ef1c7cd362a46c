"""Readers of settings: JSON by Python's reader, YAML 1.2 by ruamel.yaml.

Both refuse a key that occurs twice in one map, and name its lines. Otherwise the first of two sections
``worker`` would be lost silently. No error quotes the text, which may contain secrets.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.resolver import VersionedResolver, implicit_resolvers

from landlord_engines_core.errors import SettingsError

__all__ = ["read_json", "read_yaml"]

_TOKEN = re.compile(r'(?P<text>"(?:[^"\\]|\\.)*")(?P<colon>[ \t\n\r]*:)?|[{}\[\]]')
"""Tokens of JSON's structure, to be searched in valid documents."""

_TAG = "tag:yaml.org,2002:"


def read_json(text: str, source: str) -> object:
    """Read a JSON document; blank text is an empty map.

    ``NaN`` and ``Infinity`` are read: a later check reports them with their path.

    Args:
        text: The document.
        source: The name of the document in errors: a file, or ``$COMPUTE``.

    Raises:
        SettingsError: The text is not JSON, or a map contains a key twice. The error names the lines.
        RecursionError: The document is nested too deeply.
        ValueError: A whole number has more than 4,300 digits.
    """
    if not text.strip():
        return {}
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        # The error contains the whole text, and a traceback would show it.
        raise SettingsError(
            f"{source} is not JSON at line {error.lineno}",
            hint="look there for a missing or extra comma, quote or bracket",
        ) from None
    # A second pass: json.loads shows repeated keys only without their lines.
    _refuse_repeated(_find_repeated_in_json(text), source)
    return document


def read_yaml(text: str, source: str) -> object:
    """Read a YAML 1.2 document by the core schema; a document without content is an empty map.

    Plain ``no``, ``on`` and ``0x_1`` are text. The core schema has no dates, but a date is read as one,
    as in Landlord's reader. A later check refuses it.

    Args:
        text: The document.
        source: The name of the document in errors.

    Raises:
        SettingsError: The text is not YAML, or a map contains a key twice. The error names the lines.
        RecursionError: The document is nested too deeply.
    """
    try:
        node = _reader().compose(text)
        _refuse_repeated(_find_repeated_in_yaml(node, (), set()), source)
        document = _reader().load(text)
    except (YAMLError, ValueError) as error:
        # The error may quote the file: a secret that begins with a star reads as an unknown alias.
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        position = f" at line {mark.line + 1}" if mark is not None else ""
        raise SettingsError(
            f"{source} is not YAML{position}",
            hint="quote texts with special characters, and indent with spaces",
        ) from None
    return {} if document is None else document


def _reader() -> YAML:
    # Without a list, ruamel.yaml imports every plug-in that it finds below its own folder.
    reader = YAML(typ="safe", pure=True, plug_ins=[])
    reader.Resolver = _CoreSchema
    # YAML allows an anchor to be defined again, and a warning about it would quote the file.
    reader.composer.warn_double_anchors = False
    return reader


def _refuse_repeated(repeated: Iterable[tuple[str, list[int]]], source: str) -> None:
    problems = [
        f"{path} is written {len(lines)} times in {source}, at lines {', '.join(map(str, lines))}"
        for path, lines in repeated
    ]
    if problems:
        raise SettingsError("; ".join(problems), hint="keep one of them with the content of all")


def _find_repeated(
    path: Iterable[str], lines: Mapping[str, list[int]]
) -> Iterator[tuple[str, list[int]]]:
    """Find the keys of one map that have more than one line."""
    for key, all_lines in lines.items():
        if len(all_lines) > 1:
            yield ".".join(filter(None, (*path, key))), all_lines


def _find_repeated_in_json(text: str) -> Iterator[tuple[str, list[int]]]:
    path: list[str] = []
    open_maps: list[dict[str, list[int]]] = []
    key = ""
    line, counted = 1, 0
    for token in _TOKEN.finditer(text):
        line, counted = line + text.count("\n", counted, token.start()), token.start()
        if token["colon"]:
            key = json.loads(token["text"])
            open_maps[-1].setdefault(key, []).append(line)
        elif token[0] in "{[":
            path.append(key)
            open_maps.append({})
            key = ""
        elif token[0] in "}]":
            yield from _find_repeated(path, open_maps.pop())
            path.pop()


def _find_repeated_in_yaml(
    node: Node | None, path: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[str, list[int]]]:
    """Walk over all nodes, each once: an alias may lead to an earlier node, or to itself."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield from _find_repeated_in_yaml(item, path, seen)
    elif isinstance(node, MappingNode):
        lines: dict[str, list[int]] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else ""
            if name:
                lines.setdefault(name, []).append(key.start_mark.line + 1)
            yield from _find_repeated_in_yaml(value, (*path, name), seen)
        yield from _find_repeated(path, lines)


class _CoreSchema(VersionedResolver):
    """Resolver of plain scalars by YAML 1.2's core schema.

    ruamel.yaml 0.19.1 alone reads ``1_000`` and ``0b1`` as numbers, and fails on ``=``.
    """

    @property
    def versioned_resolver(self) -> Any:
        """Patterns by the first character of a scalar, whatever version a directive names."""
        return _PATTERNS


_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
_NO_FLOAT = r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_NUMBERS = (
    (f"{_TAG}int", r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z", "-+0123456789"),
    (f"{_TAG}float", rf"(?:{_FLOAT}|{_NO_FLOAT})\Z", "-+0123456789."),
)
"""Numbers by YAML 1.2.2, section 10.3.2; the third part lists their possible first characters."""


def _patterns() -> Mapping[str, list[tuple[str, Any]]]:
    """Combine ruamel.yaml's patterns for YAML 1.2 with the numbers of the core schema."""
    kept = {_TAG + name for name in ("bool", "null", "merge", "timestamp")}
    rows: list[tuple[str, Any, Iterable[str]]] = [
        (tag, pattern, first)
        for versions, tag, pattern, first in implicit_resolvers
        if (1, 2) in versions and tag in kept
    ]
    rows += [(tag, re.compile(pattern), first) for tag, pattern, first in _NUMBERS]
    patterns: dict[str, list[tuple[str, Any]]] = {}
    for tag, pattern, first in rows:
        for character in first:
            patterns.setdefault(character, []).append((tag, pattern))
    return patterns


_PATTERNS = _patterns()
