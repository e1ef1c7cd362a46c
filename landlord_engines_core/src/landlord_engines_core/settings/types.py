"""Types of settings, and their conversion from text."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NewType
from urllib.parse import urlsplit

from typed_settings.converters import TSConverter
from typed_settings.types import SecretStr

__all__ = [
    "Address",
    "Converter",
    "Duration",
    "LogLevel",
    "Secret",
    "Url",
    "describe_type",
    "format_duration",
    "is_duration",
]

Duration = NewType("Duration", float)
"""Seconds, written as in Landlord (``1h30m``, ``500ms``) or as a bare number."""

LogLevel = NewType("LogLevel", str)
"""debug, info, warn (or warning) or error, in upper or lower case."""

Url = NewType("Url", str)
"""An http or https URL with a host and without credentials."""

Address = NewType("Address", str)
"""Listen address ``host:port``. Without a host it means all interfaces, and empty means none."""

Secret = SecretStr
"""Text that is masked wherever it is printed."""

_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")

_TRUE = {"1", "t", "true", "yes", "on"}
_FALSE = {"0", "f", "false", "no", "off"}

_LEVELS = {"debug", "info", "warn", "error"}
_ALSO_LEVELS = {"warning": "warn"}

_PORTS = range(65536)

_EXPECTED = {
    Address: "host:port, :port for all interfaces, or nothing",
    LogLevel: "one of debug, info, warn, error",
    Duration: "a duration such as 30s, 1h30m or 500ms",
    Url: "an http or https URL with a host and without credentials",
    bool: "true or false",
    float: "a number",
    int: "a whole number",
}

_SHAPES: Mapping[Any, str] = {tuple: "a list of texts", dict: "a map"}


def _duration(value: Any) -> float:
    text = str(value)
    if _PART.sub("", text):
        seconds = float(text)
    else:
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if isinstance(value, bool) or not text or not 0 <= seconds < math.inf:
        raise ValueError
    return seconds


def _log_level(value: Any) -> str:
    text = str(value).lower()
    level = _ALSO_LEVELS.get(text, text)
    if level not in _LEVELS:
        raise ValueError
    return level


def _url(value: Any) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError
    _ = parts.port
    return str(value)


def _address(value: Any) -> str:
    text = str(value)
    _, colon, port = text.rpartition(":")
    if text and not (colon and port.isdecimal() and int(port) in _PORTS):
        raise ValueError
    return text


def _bool(value: Any, _: object) -> bool:
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError
    return text in _TRUE


def _int(value: Any, _: object) -> int:
    # int() would accept True and cut 1.5.
    if isinstance(value, bool | float):
        raise TypeError
    return int(value)


def _float(value: Any, _: object) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError
    return number


def _text(value: Any, kind: Any) -> Any:
    # YAML reads a bare number or word as another type, which is a text here.
    if isinstance(value, list | dict) or value is None:
        raise TypeError
    return kind(value)


def _words(value: str) -> list[Any]:
    return [word.strip() for word in value.split(",") if word.strip()]


def _as_it_is(value: Any, _: object) -> Any:
    return value


def _sections(value: Any) -> Any:
    """Convert a map of sections, or its JSON text."""
    # In YAML, a section without keys is written as nothing, which reads as None.
    document = json.loads(value) if isinstance(value, str) else value
    return {key: {} if section is None else section for key, section in document.items()}


# Looked up by identity: the base class compares types as classes, and NewTypes are none.
_NEW_KINDS: Mapping[Any, Callable[[Any], Any]] = {
    Address: _address,
    Duration: _duration,
    LogLevel: _log_level,
    Url: _url,
}


class Converter(TSConverter):
    """Converter of values from a file, the environment or a flag."""

    def __init__(self) -> None:
        super().__init__(strlist_sep=_words)
        self.scalar_converters = {bool: _bool, float: _float, int: _int, str: _text, Any: _as_it_is}

    def structure(self, obj: Any, cl: Any) -> Any:
        """Convert one value, or a tree of them."""
        if cl in _NEW_KINDS:
            return _NEW_KINDS[cl](obj)
        if getattr(cl, "__origin__", None) is dict:
            obj = _sections(obj)
        return super().structure(obj, cl)


def is_duration(kind: Any) -> bool:
    """Whether values of this type are durations."""
    return kind is Duration or Duration in getattr(kind, "__args__", ())


def format_duration(seconds: float) -> str:
    """Format a duration as in a settings file: ``1h30m``, ``500ms``."""
    rest = round(seconds * 1e9)
    parts = []
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        count, rest = divmod(rest, round(_UNITS[unit] * 1e9))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def describe_type(kind: Any) -> str:
    """Describe the values of a type."""
    inner = [arg for arg in getattr(kind, "__args__", ()) if arg is not type(None)]
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if inner and all(isinstance(arg, str) for arg in inner):
        return f"one of {', '.join(inner)}"
    if len(inner) == 1:
        return describe_type(inner[0])
    return _SHAPES.get(getattr(kind, "__origin__", None), "a text")
