"""The compute engine ``folder``: each tenant is one file in a folder of this machine. An example."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

import attrs

from landlord_engines_core.api import (
    ComputeContext,
    ComputeEngine,
    ComputeEngineFactory,
    ComputeEngineInfo,
    ComputeResult,
    ComputeSpec,
    ComputeUnavailable,
    Observation,
    ResourceState,
    SettingsError,
    begin_observation,
    send,
)

__all__ = ["FolderCompute", "FolderSettings", "factory"]

T = TypeVar("T")

SCHEMA: Mapping[str, object] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"text": {"type": "string", "maxLength": 100_000}},
    "required": ["text"],
}

LONGEST_CALL = 10.0
"""Seconds for a write or a removal on a slow disk."""


@attrs.frozen(kw_only=True)
class FolderSettings:
    """The operator's settings.

    Attributes:
        path: The absolute path of the folder.
    """

    path: str

    def check(self) -> None:
        """Refuse a path that depends on the worker's working folder.

        Raises:
            SettingsError: The path is not absolute.
        """
        if not Path(self.path).is_absolute():
            raise SettingsError("compute.folder.path is not an absolute path")


@attrs.frozen(kw_only=True)
class FolderCompute(ComputeEngine):
    """One file for each tenant, replaced as a whole."""

    context: ComputeContext
    single_location: ClassVar[bool] = True

    def config_schema(self) -> Mapping[str, object]:
        """Return the schema of a tenant's configuration."""
        return SCHEMA

    def config_defaults(self) -> Mapping[str, object]:
        """Return the operator's defaults."""
        return self.context.defaults

    def validate(self, config: Mapping[str, object]) -> None:
        """Check nothing more than the schema."""

    def location(self, config: Mapping[str, object]) -> str:  # noqa: ARG002  # the contract's signature
        """Return the only location, the folder."""
        return ""

    async def reach(self) -> str:
        """Check that the folder can be used, and create nothing."""
        with _translate_errors():
            return await self.context.run_in_thread(_check_folder, self._folder)

    async def inspect(self, tenant: str, location: str) -> Observation:  # noqa: ARG002  # as above
        """Read the tenant's file."""
        begin_observation()
        with _translate_errors(), self.context.time_request("read"):
            return await self.context.run_in_thread(_read, self._file(tenant))

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Write the file, whatever is there."""
        await self._change("write", lambda: _write(self._file(spec.tenant), spec))
        self.context.logger.debug("file written")
        return ComputeResult(resource_ids={"file": self._file(spec.tenant).name})

    async def update(self, spec: ComputeSpec) -> ComputeResult:
        """Write the file again."""
        return await self.provision(spec)

    async def destroy(self, tenant: str, location: str) -> bool:  # noqa: ARG002  # as above
        """Remove the file."""
        return await self._change("remove", lambda: _remove(self._file(tenant)))

    @property
    def longest_carry(self) -> float:
        """Seconds for the request in flight."""
        return LONGEST_CALL

    async def aclose(self) -> None:
        """Close nothing: there is no connection."""

    @property
    def _folder(self) -> Path:
        settings: FolderSettings = self.context.settings
        return Path(settings.path)

    def _file(self, tenant: str) -> Path:
        # A tenant's id may hold any characters, half of a surrogate pair included.
        return self._folder / hashlib.sha256(tenant.encode(errors="surrogatepass")).hexdigest()

    async def _change(self, name: str, work: Callable[[], T]) -> T:
        """Send one request that changes the target; a cancellation waits for its end."""
        with _translate_errors(), self.context.time_request(name):
            return await send(lambda: self.context.run_in_thread(work))


def _check_folder(folder: Path) -> str:
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "")
    return f"folder {folder}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _read(file: Path) -> Observation:
    """Compare a tenant's file with the digest inside it, and change nothing."""
    content: Any = {}
    try:
        content = json.loads(file.read_bytes())
        is_unchanged = content["digest"] == _digest(content["text"])
    except FileNotFoundError:
        return Observation(state=ResourceState.MISSING)
    except (ValueError, LookupError, TypeError):
        is_unchanged = False
    if not is_unchanged:
        return Observation(state=ResourceState.FAILED, detail="its file was changed from outside")
    return Observation(
        state=ResourceState.HEALTHY,
        config_hash=content["config_hash"],
        key_hashes=content["key_hashes"],
        resource_ids={"file": file.name},
    )


def _write(file: Path, spec: ComputeSpec) -> None:
    """Replace a tenant's file as a whole, so that no kill leaves half of one."""
    text = str(spec.config["text"])
    content = {
        "text": text,
        "digest": _digest(text),
        "config_hash": spec.config_hash,
        "key_hashes": dict(spec.key_hashes),
    }
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{uuid4().hex}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream)
    unfinished.replace(file)
    # A killed write leaves its file. One that is under way finds its own gone, and is tried again.
    for left in file.parent.glob(f"{file.name}.*"):
        left.unlink(missing_ok=True)


def _remove(file: Path) -> bool:
    """Remove a tenant's file, and what a killed write has left of it."""
    leftovers = list(file.parent.glob(f"{file.name}*"))
    for path in leftovers:
        path.unlink(missing_ok=True)
    return file in leftovers


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # The name of the error alone: its text holds a path.
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        raise ComputeUnavailable(
            f"the folder compute.folder.path cannot be used: {name}",
            hint="let the worker's user read and write it",
        ) from error


def _create(context: ComputeContext) -> FolderCompute:
    return FolderCompute(context=context)


factory = ComputeEngineFactory(
    info=ComputeEngineInfo(name="folder", contract=1),
    settings_type=FolderSettings,
    create_engine=_create,
)
