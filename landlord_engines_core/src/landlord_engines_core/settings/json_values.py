"""Finding values that JSON cannot represent, such as YAML's dates, sets and binary data.

A default of such a type would fail in each tenant's job, when the configuration is hashed as JSON.
"""

import math
from collections.abc import Iterator, Mapping

__all__ = ["find_not_json"]

_PLAIN = str | bool | int | float | None

_KINDS = {"date": "a date", "datetime": "a time", "set": "a set", "bytes": "binary data"}


def find_not_json(value: object, path: str) -> list[str]:
    """Report each value that JSON cannot represent, with its path and kind."""
    try:
        return list(_not_json(value, path))
    except RecursionError:
        # An alias in YAML can even put a map into itself.
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
        yield f"{path} is not a finite number, as JSON requires"
    elif not isinstance(value, _PLAIN):
        kind = _KINDS.get(type(value).__name__, "a value")
        yield f"{path} is {kind}, which JSON cannot represent: quote it to make it a text"


def _not_json_keys(value: Mapping[object, object], path: str) -> Iterator[str]:
    if not all(isinstance(key, str) for key in value):
        yield f"{path} has a key that is no text, which JSON cannot represent: quote it"
