"""Finds values that JSON does not have, which no tenant's configuration can hold.

YAML has dates, sets, binary data and keys of any kind. A default of such a kind would fail in each
tenant's job, when the configuration is hashed and measured as JSON.
"""

import math
from collections.abc import Iterator, Mapping

__all__ = ["not_json"]

_PLAIN = str | bool | int | float | None

_KINDS = {"date": "a date", "datetime": "a time", "set": "a set", "bytes": "binary data"}


def not_json(value: object, path: str) -> list[str]:
    """Name each value that is not JSON's, with its path and its kind and never itself."""
    try:
        return list(_not_json(value, path))
    except RecursionError:
        # With an alias, YAML can also say that a map holds itself.
        return [f"{path} is nested too deeply"]


def _not_json(value: object, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _not_json_keys(value, path)
        for key, inner in value.items():
            yield from _not_json(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _not_json(inner, f"{path}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path} is not a finite number, and JSON has no other"
    elif not isinstance(value, _PLAIN):
        kind = _KINDS.get(type(value).__name__, "of a kind")
        yield f"{path} is {kind}, which JSON does not have: quote it to have a text"


def _not_json_keys(value: Mapping[object, object], path: str) -> Iterator[str]:
    if not all(isinstance(key, str) for key in value):
        yield f"{path} has a key that is no text, which JSON does not have: quote it"
