"""Wrong worker engines, each a few lines around the right one, `landlord_engine_sqlite`."""

from collections.abc import Mapping

__all__ = ["RIGHT", "VARIANTS", "WRONG", "module_of"]

RIGHT = "right"
"""The name of the engine that keeps every rule."""

_HEADER = """\
import asyncio, os, signal, threading, time
from pathlib import Path

import attrs

from landlord_engines_core.api import *
from landlord_engine_sqlite import factory as right
from landlord_engine_sqlite.engine import SqliteEngine

def changed(create=right.create_engine, **more):
    return attrs.evolve(right, info=attrs.evolve(right.info, name={name!r}), create_engine=create, **more)

def info(**more):
    return attrs.evolve(right, info=attrs.evolve(right.info, name={name!r}, **more))

def own(kind):
    return changed(lambda context: kind(settings=context.settings, context=context))

factory = changed()
"""

WRONG: Mapping[str, str] = {
    "LOAD-1": "factory = object()",
    "LOAD-2": "print('hello')",
    "LOAD-3": "began = time.process_time()\nwhile time.process_time() < began + 2.1: pass",
    "LOAD-4": "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "VER-1": "factory = info(contract=99)",
    "VER-2": "",
    "CAP-1": "factory = info(capabilities={})",
    "CAP-2": "factory = info(capabilities={**right.info.capabilities, Capability.MOVE: Support.FULL})",
    "CFG-1": "factory = changed(settings_type=dict)",
    "CFG-2": "def create(context): raise KeyError('path')\nfactory = changed(create)",
    "CFG-3": """
@attrs.frozen(kw_only=True)
class Settings:
    path: str = ""
    token: Secret | None = None
def create(context):
    if context.settings.token:
        context.logger.info("connecting", token=context.settings.token)
    return right.create_engine(context)
factory = changed(create, settings_type=Settings)
""",
    "LIFE-1": """
class Wrong(SqliteEngine):
    async def shutdown(self, grace): await asyncio.Event().wait()
factory = own(Wrong)
""",
    "LIFE-2": """
def create(context):
    os.open(os.devnull, os.O_RDONLY)
    return right.create_engine(context)
factory = changed(create)
""",
    "LIFE-3": """
class Wrong(SqliteEngine):
    def check(self): raise ConnectionError("there is no backend")
factory = own(Wrong)
""",
    "SIG-1": """
def create(context):
    signal.signal(signal.SIGTERM, lambda *_: None)
    return right.create_engine(context)
factory = changed(create)
""",
}
"""The lines that make an engine wrong, by the rule that it breaks."""

_SECRET = """
@attrs.frozen(kw_only=True)
class Settings:
    path: str = ""
    token: Secret | None = None
def create(context):
    {create}
    return SqliteEngine(settings=right.settings_type(), context=attrs.evolve(context, settings=None))
factory = changed(create, settings_type=Settings)
"""

VARIANTS: Mapping[str, str] = {
    "needs-a-path": """
def create(context):
    if not Path(context.settings.path).is_absolute():
        raise SettingsError("path is missing")
    return right.create_engine(context)
factory = changed(create)
""",
    "keeps-a-secret": _SECRET.format(create="pass"),
    "secret-in-an-error": _SECRET.format(create="raise ValueError(str(context.settings.token))"),
    "undeclared": """
class Wrong(SqliteEngine):
    async def make_latest(self): return await self.register()
factory = own(Wrong)
""",
    "undeclared-refused": """
class Refusing(SqliteEngine):
    async def make_latest(self): raise EngineRefused("not here")
factory = own(Refusing)
""",
    "slow-check": """
class Wrong(SqliteEngine):
    def check(self): time.sleep(1.1)
factory = own(Wrong)
""",
    "asks": """
class Asking(SqliteEngine):
    async def shutdown(self, grace):
        try: await self.context.run_job(b"", None)
        except Transient: pass
factory = own(Asking)
""",
    "exits": "raise SystemExit(0)",
    "unimportable": "import landlord_test_nothing",
}
"""Other engines, right and wrong, by name."""


def module_of(name: str, lines: str = "") -> str:
    """Write the module of an engine of this name."""
    return _HEADER.format(name=name) + lines
