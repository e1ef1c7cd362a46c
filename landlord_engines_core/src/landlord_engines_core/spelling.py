"""Finding the known name that a misspelt one stands for."""

import difflib
from collections.abc import Collection

__all__ = ["find_closest", "find_similar", "is_typo"]

_NEAR = 0.8
"""Similarity from 0 to 1 at which difflib counts two names as similar."""

_SHORT = 5
"""Names below this length have no typos: too many other words are one letter away."""
_LONG = 8
"""Names from this length on may have two typos."""


def is_typo(name: str, meant: str) -> bool:
    """Whether ``name`` is ``meant`` with one slip of the keyboard, or two in a long name."""
    allowed = 0 if len(meant) < _SHORT else 1 if len(meant) < _LONG else 2
    return 0 < _count_slips(name, meant, allowed) <= allowed


def find_similar(name: str, known: Collection[str]) -> str:
    """Find the most similar known name; empty if none is near."""
    return next(iter(difflib.get_close_matches(name, sorted(known), 1, _NEAR)), "")


def find_closest(name: str, known: Collection[str]) -> str:
    """Find the known name that a misspelt one stands for, or empty.

    It is a name with a typo, or else a similar name. Otherwise ``name`` is its beginning, or only
    one known name has the same first word.
    """
    if typos := [other for other in sorted(known) if is_typo(name, other)]:
        return min(typos, key=lambda other: _count_slips(name, other, 2))
    if near := find_similar(name, known):
        return near
    if longer := [other for other in sorted(known) if other.startswith(f"{name}_")]:
        return min(longer, key=len)
    first = name.partition("_")[0]
    same_word = [other for other in known if other.partition("_")[0] == first]
    return same_word[0] if len(same_word) == 1 else ""


def _count_slips(name: str, meant: str, most: int) -> int:
    """Count missing, extra, wrong and swapped letters, up to ``most`` and one more.

    This is the optimal string alignment distance.
    """
    if abs(len(name) - len(meant)) > most or len(set(name) ^ set(meant)) > 2 * most:
        return most + 1
    rows = [list(range(len(meant) + 1))]
    for i, letter in enumerate(name, 1):
        row = [i]
        for j, other in enumerate(meant, 1):
            wrong = rows[i - 1][j - 1] + (letter != other)
            row.append(min(rows[i - 1][j] + 1, row[j - 1] + 1, wrong))
            if i > 1 and j > 1 and letter == meant[j - 2] and name[i - 2] == other:
                row[j] = min(row[j], rows[i - 2][j - 2] + 1)
        rows.append(row)
    return rows[-1][-1]
