"""Keys that nothing reads: one rule for the settings of all compute engines, and one for tenants.

An operator's section must hold known keys only: a typo in it would mean another target, or no limit.
A tenant's configuration may hold more, as with Landlord, whose providers pass over what they do not
know; a key that is nearly a known one is a typo all the same, and is refused.
"""

from collections.abc import Collection, Iterator, Mapping

from landlord_engines_core.spelling import find_similar

__all__ = ["near_misses", "properties_of", "unknown_keys"]


def unknown_keys(
    section: Mapping[str, object], known: Collection[str], prefix: str = ""
) -> list[str]:
    """Name each key of an operator's section that is not known, with what may be meant."""
    return [
        _told(f"{prefix}{key}", f"{prefix}{meant}" if (meant := find_similar(key, known)) else "")
        for key in section
        if key not in known
    ]


def near_misses(config: object, schema: Mapping[str, object], path: str = "$") -> Iterator[str]:
    """Name each key of a tenant's configuration that is nearly one of the schema's, at any depth.

    A map whose keys are the tenant's own words, as ``env``, is left alone: its schema lists none.
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
        elif meant := find_similar(str(key), known):
            yield _told(f"{path}.{key}", f"{path}.{meant}")


def properties_of(schema: Mapping[str, object]) -> Mapping[str, object]:
    """The keys that a schema lists, with their own schemas."""
    return _mapping(schema.get("properties"))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _told(key: str, meant: str) -> str:
    return f"{key} is unknown; did you mean {meant}?" if meant else f"{key} is unknown"
