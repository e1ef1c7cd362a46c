"""Unknown keys in tenants' configurations, and the keys that a schema lists.

A tenant's configuration may contain unknown keys, which Landlord's providers ignore. A key that is
similar to a known one is a typo, and is refused.
"""

from collections.abc import Iterator, Mapping

from landlord_engines_core.spelling import find_similar

__all__ = ["lists_every_key", "near_misses", "properties_of"]

_OTHER_KEYS = ("$ref", "$dynamicRef", "allOf", "if", "patternProperties")
"""Words of a schema beside ``properties`` that may allow more keys."""


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
            yield f"{path}.{key} is unknown; did you mean {path}.{similar}?"


def properties_of(schema: Mapping[str, object]) -> Mapping[str, object]:
    """Return the keys that a schema lists, with their own schemas."""
    return _mapping(schema.get("properties"))


def lists_every_key(schema: Mapping[str, object]) -> bool:
    """Return whether a schema names all keys of a configuration, as far as one can see."""
    return "properties" in schema and not any(word in schema for word in _OTHER_KEYS)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
