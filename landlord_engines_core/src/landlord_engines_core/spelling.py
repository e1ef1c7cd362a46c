"""Finds what a misspelt name may mean."""

import difflib
from collections.abc import Collection

__all__ = ["alike", "closest", "is_typo"]

_NEAR = 0.8

_SHORT = 5
"""Names below this length have no typos: too many other words are one letter away."""
_LONG = 8


def is_typo(name: str, meant: str) -> bool:
    """Whether a name is another one with one slip of the keyboard, or two in a long name."""
    slips = 0 if len(meant) < _SHORT else 1 if len(meant) < _LONG else 2
    return 0 < _slips(name, meant, slips) <= slips


def alike(name: str, known: Collection[str]) -> str:
    """The known name that looks most like this one, or empty where none is near."""
    return next(iter(difflib.get_close_matches(name, sorted(known), 1, _NEAR)), "")


def closest(name: str, known: Collection[str]) -> str:
    """The known name that is meant, or empty.

    It is one with a typo, one that looks alike, one that was cut after some of its words, or the
    only one that begins with the same word.
    """
    if typos := [one for one in sorted(known) if is_typo(name, one)]:
        return min(typos, key=lambda one: _slips(name, one, 2))
    if near := alike(name, known):
        return near
    if cut := [one for one in sorted(known) if one.startswith(f"{name}_")]:
        return min(cut, key=len)
    first = name.partition("_")[0]
    begun = [one for one in known if one.partition("_")[0] == first]
    return begun[0] if len(begun) == 1 else ""


def _slips(name: str, meant: str, most: int) -> int:
    """Letters that are missing, too many, wrong or swapped; above ``most`` it is not counted on.

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
