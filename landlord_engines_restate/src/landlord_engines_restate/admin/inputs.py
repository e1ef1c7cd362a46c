"""The input of an invocation, from the first entry of its journal."""

from collections.abc import Mapping

import attrs

from landlord_engines_core import codec
from landlord_engines_core.errors import EngineFailed

__all__ = ["read_input"]


@attrs.frozen(kw_only=True)
class _Input:
    payload: tuple[int, ...]


@attrs.frozen(kw_only=True)
class _FirstEntry:
    """Restate's first entry of a journal: ``{"Command": {"Input": {"payload": [bytes]}}}``."""

    Command: Mapping[str, _Input]


def read_input(row: Mapping[str, object], url: str) -> bytes:
    """Read the input from the columns ``id`` and ``entry_json`` of a row of ``sys_journal``.

    Args:
        row: The row of the journal's entry 0.
        url: The server's URL, for the error.

    Raises:
        EngineFailed: The entry has another form.
    """
    try:
        entry = codec.loads(str(row.get("entry_json", "")).encode(), _FirstEntry)
        return bytes(entry.Command["Input"].payload)
    except (codec.BadDocument, KeyError, ValueError) as error:
        raise EngineFailed(
            f"Restate at {url} shows the input of {row.get('id')} in another form"
            " than restate-server 1.7",
            hint="use a restate-server of a version that `landlord-host engines` names",
        ) from error
