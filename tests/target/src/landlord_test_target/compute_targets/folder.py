"""The target of the example `folder`."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import attrs

from landlord_engines_core.compute.contract import digest_of

__all__ = ["FolderTarget"]


@attrs.frozen(kw_only=True)
class FolderTarget:
    """A folder with a file for each tenant."""

    folder: Path
    cuts: int = 10
    drifts: tuple[str, ...] = ("removed", "changed", "emptied")

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"path": str(self.folder)}

    def config(self, version: int) -> dict[str, Any]:
        return {"text": str(version)}

    def secret_config(self, secret: str) -> dict[str, Any]:
        return {"text": secret}

    async def look(self, tenant: str) -> Collection[object]:
        return list(self.folder.glob(f"{digest_of(tenant)}*"))

    async def disturb(self, tenant: str, drift: str) -> None:
        file = self.folder / digest_of(tenant)
        if drift == "removed":
            file.unlink()
        elif drift == "emptied":
            file.write_text("")
        else:
            file.write_text(json.dumps({**json.loads(file.read_text()), "text": "3"}))
