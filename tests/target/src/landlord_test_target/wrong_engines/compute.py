"""Wrong compute engines, each a few lines around the right one, `landlord_compute_folder`."""

from collections.abc import Mapping

__all__ = ["VARIANTS", "WRONG", "module_of"]

_HEADER = """\
import json, os, signal, threading, time
from pathlib import Path

import attrs

import landlord_compute_folder
from landlord_compute_folder import FolderCompute, FolderSettings, _read, _remove, _write, factory as right
from landlord_engines_core.api import *

def changed(create=right.create_engine, **more):
    return attrs.evolve(right, info=attrs.evolve(right.info, name={name!r}), create_engine=create, **more)

def own(kind):
    return changed(lambda context: kind(context=context))

factory = changed()
"""

_TWO_FILES = """
class Wrong(FolderCompute):
    async def provision(self, spec):
        file = self._file(f"{spec.tenant}{time.monotonic()}")
        other = self._file(spec.tenant)
        file = file.with_name(f"{other.name}.{file.name}")
        _write(other, spec)
        _write(file, spec)
        return ComputeResult(resource_ids={"file": file.name})
factory = own(Wrong)
"""

_BELIEVES = """
import landlord_engines_core.conformance.compute.acts as acts
acts.LONGEST = 0.5
class Wrong(FolderCompute):
    async def _change(self, name, work):
        begun = self._folder.parent / f"begun-{name}"
        if begun.exists(): return False
        begun.touch()
        time.sleep(1)
        result = work()
        begun.unlink()
        return result
factory = own(Wrong)
"""

WRONG: Mapping[str, str] = {
    "MOD-1": "factory = object()",
    "MOD-2": "print('hello')",
    "MOD-3": "began = time.process_time()\nwhile time.process_time() < began + 2.1: pass",
    "MOD-4": "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "PIN-1": "factory = attrs.evolve(factory, info=attrs.evolve(factory.info, contract=99))",
    "PIN-2": "",
    "SET-1": "factory = changed(settings_type=dict)",
    "SET-2": "def create(context): raise KeyError('path')\nfactory = changed(create)",
    "SCH-1": """
class Wrong(FolderCompute):
    def config_schema(self): return {"type": "nothing"}
factory = own(Wrong)
""",
    "OWN-1": """
def create(context):
    signal.signal(signal.SIGTERM, lambda *_: None)
    return right.create_engine(context)
factory = changed(create)
""",
    "ACT-1": """
class Wrong(FolderCompute):
    async def destroy(self, tenant, location):
        await super().destroy(tenant, location)
        return True
factory = own(Wrong)
""",
    "ACT-2": """
class Wrong(FolderCompute):
    async def inspect(self, tenant, location):
        return attrs.evolve(await super().inspect(tenant, location), config_hash="")
factory = own(Wrong)
""",
    "ACT-3": _TWO_FILES,
    "ACT-4": """
made = {}
class Wrong(FolderCompute):
    async def provision(self, spec):
        made[spec.tenant] = await super().provision(spec)
        return made[spec.tenant]
    async def inspect(self, tenant, location):
        if tenant not in made: return Observation(state=ResourceState.MISSING)
        return await super().inspect(tenant, location)
factory = own(Wrong)
""",
    "ACT-5": """
class Wrong(FolderCompute):
    async def provision(self, spec):
        if not self._file(spec.tenant).exists(): return await super().provision(spec)
        return ComputeResult(resource_ids={"file": self._file(spec.tenant).name})
factory = own(Wrong)
""",
    "CUT-1": _BELIEVES,
    "CUT-2": _BELIEVES,
    "CUT-3": _BELIEVES,
    "CUT-4": """
class Wrong(FolderCompute):
    async def provision(self, spec):
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._file(spec.tenant).with_suffix(".unfinished")
        unfinished.touch()
        time.sleep(1)
        unfinished.unlink()
        return await super().provision(spec)
    async def destroy(self, tenant, location):
        file = self._file(tenant)
        was = file.exists()
        file.unlink(missing_ok=True)
        return was
factory = own(Wrong)
""",
    "LATE-1": """
class Wrong(FolderCompute):
    async def provision(self, spec):
        time.sleep(1)
        return await super().provision(spec)
    async def destroy(self, tenant, location):
        was = await super().destroy(tenant, location)
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / ("deleted-" + self._file(tenant).name)).touch()
        return was
    async def inspect(self, tenant, location):
        if (self._folder / ("deleted-" + self._file(tenant).name)).exists():
            return Observation(state=ResourceState.MISSING)
        return await super().inspect(tenant, location)
factory = own(Wrong)
""",
    "DRI-1": """
class Wrong(FolderCompute):
    async def inspect(self, tenant, location):
        seen = await super().inspect(tenant, location)
        if seen.state is not ResourceState.FAILED: return seen
        return Observation(state=ResourceState.HEALTHY, **json.loads(WELL))
    async def provision(self, spec):
        global WELL
        made = await super().provision(spec)
        known = {"config_hash": spec.config_hash, "key_hashes": dict(spec.key_hashes)}
        (self._folder.parent / "well").write_text(json.dumps(known))
        return made
class Kept(Wrong):
    async def inspect(self, tenant, location):
        global WELL
        well = self._folder.parent / "well"
        WELL = well.read_text() if well.exists() else "{}"
        return await super().inspect(tenant, location)
factory = own(Kept)
""",
    "PAR-1": """
class Wrong(FolderCompute):
    def _file(self, tenant): return self._folder / "the-only-one"
factory = own(Wrong)
""",
    "PAR-2": _TWO_FILES,
    "IDS-1": """
class Wrong(FolderCompute):
    def _file(self, tenant): return super()._file(tenant.lower()[:8])
factory = own(Wrong)
""",
    "SEC-1": """
class Wrong(FolderCompute):
    async def provision(self, spec):
        self.context.logger.info("writing", text=spec.config["text"])
        return await super().provision(spec)
factory = own(Wrong)
""",
}
"""The lines that make an engine wrong, by the rule that it breaks."""

VARIANTS: Mapping[str, str] = {
    "right-folder": "",
    "picky": """
class Picky(FolderCompute):
    def config_schema(self): return {"type": "object", "properties": {"text": {"const": "9"}}}
factory = own(Picky)
""",
    "unhealthy": """
class Unhealthy(FolderCompute):
    async def inspect(self, tenant, location):
        return attrs.evolve(await super().inspect(tenant, location), state=ResourceState.FAILED)
import landlord_engines_core.conformance.compute.acts as acts
acts.LONGEST = 0.5
factory = own(Unhealthy)
""",
    "busy": """
class Busy(FolderCompute):
    async def destroy(self, tenant, location):
        asked = self._folder.parent / "asked"
        if asked.exists(): return await super().destroy(tenant, location)
        asked.touch()
        raise ComputeUnavailable("busy")
factory = own(Busy)
""",
    "locking": """
import fcntl
class Locking(FolderCompute):
    def _lock(self):
        self._folder.mkdir(exist_ok=True)
        lock = (self._folder.parent / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ComputeUnavailable("locked") from None
        return lock
    async def provision(self, spec):
        with self._lock():
            time.sleep(1)
            return await super().provision(spec)
    async def destroy(self, tenant, location):
        with self._lock():
            return await super().destroy(tenant, location)
factory = own(Locking)
""",
    "always-busy": """
import landlord_engines_core.conformance.compute.acts as acts
acts.LONGEST = 0.3
class Busy(FolderCompute):
    async def destroy(self, tenant, location): raise ComputeUnavailable("busy")
factory = own(Busy)
""",
    "stubborn": """
class Stubborn(FolderCompute):
    async def destroy(self, tenant, location):
        await super().destroy(tenant, location)
        return True
factory = own(Stubborn)
""",
    "blind": """
class Blind(FolderCompute):
    async def update(self, spec): return ComputeResult()
import landlord_engines_core.conformance.compute.acts as acts
acts.LONGEST = 0.5
factory = own(Blind)
""",
    "broken": """
class Broken(FolderCompute):
    async def destroy(self, tenant, location): raise KeyError(tenant)
    async def provision(self, spec): raise KeyError(spec.tenant)
factory = own(Broken)
""",
    "refusing": """
class Refusing(FolderCompute):
    async def provision(self, spec): raise ComputeRefused("not today")
factory = own(Refusing)
""",
}
"""Other engines, by name."""


def module_of(name: str, lines: str = "") -> str:
    """Write the module of an engine of this name."""
    return _HEADER.replace("{name!r}", repr(name)) + lines
