"""Unknown keys: one rule for the settings of all compute engines, and one for tenants.

An operator's section may contain known keys only: a typo in it would mean another target, or no limit.
A tenant's configuration may contain unknown keys, which Landlord's providers ignore. A key that is
similar to a known one is a typo, and is refused there too.
"""

from collections.abc import Collection, Iterator, Mapping

from landlord_engines_core.spelling import find_similar

__all__ = ["near_misses", "properties_of", "unknown_keys"]


def unknown_keys(
    section: Mapping[str, object], known: Collection[str], prefix: str = ""
) -> list[str]:
    """Return a message for each unknown key of an operator's section, with a similar known key."""
    return [
        _describe(
            f"{prefix}{key}", f"{prefix}{similar}" if (similar := find_similar(key, known)) else ""
        )
        for key in section
        if key not in known
    ]


def near_misses(config: object, schema: Mapping[str, object], path: str = "$") -> Iterator[str]:
    """Yield a message for each unknown key that is similar to a key of the schema, at any depth.

    A map whose keys the tenant chooses, such as ``env``, is skipped: its schema lists no keys.
    """
    if isinstance(config, list | tuple):
        items = schema.get("items")
        for number, item in enumerate(config if isinstance(items, Mapping) else ()):
            yield from near_misses(item, _mapping(items), f"{path}[{number}]")
    if not isinstance(config, Mapping):
        return
    known = properties_of(schema)
    for key, value in config.items():
        if key in known:
            yield from near_misses(value, _mapping(known[key]), f"{path}.{key}")
        elif similar := find_similar(str(key), known):
            yield _describe(f"{path}.{key}", f"{path}.{similar}")


def properties_of(schema: Mapping[str, object]) -> Mapping[str, object]:
    """Return the keys that a schema lists, with their own schemas."""
    return _mapping(schema.get("properties"))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _describe(key: str, similar: str) -> str:
    return f"{key} is unknown; did you mean {similar}?" if similar else f"{key} is unknown"
