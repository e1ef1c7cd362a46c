"""Wrong worker engines, each a few lines around the right one, `right`."""

from collections.abc import Mapping

__all__ = ["RIGHT", "VARIANTS", "WRONG", "module_of"]

RIGHT = "right"
"""The name of the engine that keeps every rule."""

_HEADER = """\
import asyncio, json, os, signal, threading, time
from contextlib import asynccontextmanager, closing
from pathlib import Path

import attrs

from landlord_engines_core.api import *
from landlord_engine_sqlite.backend import SqliteDispatcher
from landlord_engine_sqlite.store import Lock, Store
from landlord_test_target.wrong_engines.right import JournalSteps, RightEngine, factory as right

FULL = Support.FULL

def changed(create=right.create_engine, **more):
    return attrs.evolve(right, info=attrs.evolve(right.info, name={name!r}), create_engine=create, **more)

def info(**more):
    return attrs.evolve(right, info=attrs.evolve(right.info, name={name!r}, **more))

def own(kind):
    return changed(lambda context: kind(settings=context.settings, context=context))

def with_steps(kind):
    class Wrong(RightEngine):
        steps = kind
    return own(Wrong)

def with_backend(dispatcher=SqliteDispatcher, mode=None):
    @asynccontextmanager
    async def backend(settings, folder):
        async with right.local_backend(settings, folder) as started:
            for path in folder.iterdir() if mode else ():
                path.chmod(mode)
            yield attrs.evolve(started, dispatcher=dispatcher(started.dispatcher.store))
    return changed(local_backend=backend)

factory = changed()
"""

_TRANSLATED = """
class Wrong(RightEngine):
    async def _run(self, store, job):
        try: await super()._run(store, job)
        except {error} as error: raise {other}
factory = own(Wrong)
"""

_NO_LOCK = """
class Steps(JournalSteps):
    async def acquire(self, tenant, start):
        return self._write_lock(tenant, self.store.lock(tenant), start)
factory = with_steps(Steps)
"""

_NO_ORDER = """
class Steps(JournalSteps):
    async def _preempt(self, tenant, lock, start):
        self.store.stop(lock.job, "superseded")
factory = with_steps(Steps)
"""

_NEVER_RESUMED = """
def create(context):
    return right.create_engine(attrs.evolve(context, settings=attrs.evolve(context.settings, lease=3600)))
factory = changed(create)
"""

_READS_ANYHOW = """
class Steps(JournalSteps):
    async def read_record(self, tenant): return self.store.lock(tenant).record
factory = with_steps(Steps)
"""

_NO_RESYNC = """
from landlord_engines_core.queueing import plan_resync

class Steps(JournalSteps):
    def _write_lock(self, tenant, lock, start):
        return super(Steps, attrs.evolve(self, resync_after=0))._write_lock(tenant, lock, start)
"""

_CUT_IS_AN_END = """
class Wrong(RightEngine):
    async def _run_attempt(self, store, job):
        try: await self._run(store, job)
        finally: store.release(job, "done")
factory = own(Wrong)
"""

WRONG: Mapping[str, str] = {
    "LOAD-1": "factory = object()",
    "LOAD-2": "print('hello')",
    "LOAD-3": "began = time.process_time()\nwhile time.process_time() < began + 2.1: pass",
    "LOAD-4": "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "VER-1": "factory = info(contract=99)",
    "VER-2": "",
    "CAP-1": "factory = info(capabilities={})",
    "CAP-2": """
moves = info(capabilities={**right.info.capabilities, Capability.MOVE: FULL}).info
factory = attrs.evolve(own(RightEngine), info=moves)
""",
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
class Wrong(RightEngine):
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
class Wrong(RightEngine):
    def check(self): raise ConnectionError("there is no backend")
factory = own(Wrong)
""",
    "SIG-1": """
def create(context):
    signal.signal(signal.SIGTERM, lambda *_: None)
    return right.create_engine(context)
factory = changed(create)
""",
    "LIFE-4": """
class Wrong(RightEngine):
    async def serve(self, started): await super().serve(lambda: (started(), started()))
factory = own(Wrong)
""",
    "SIG-2": """
class Wrong(RightEngine):
    async def serve(self, started):
        signal.signal(signal.SIGTERM, lambda *_: None)
        await super().serve(started)
factory = own(Wrong)
""",
    "REG-1": """
class Wrong(RightEngine):
    again = False
    async def register(self):
        if self.again: raise RegistrationRefused("it is registered already")
        self.again = True
        return await super().register()
factory = own(Wrong)
""",
    "REG-2": """
class Wrong(RightEngine):
    async def dry_run_registration(self): raise EngineFailed("it does not serve yet")
factory = own(Wrong)
""",
    "REG-3": """
class Wrong(RightEngine):
    async def watch_registration(self): return Registration(state=RegistrationState.UNKNOWN)
factory = own(Wrong)
""",
    "JOB-1": """
class Wrong(RightEngine):
    async def _run(self, store, job):
        body = json.dumps(json.loads(job.body)).encode()
        await super()._run(store, attrs.evolve(job, body=body))
factory = own(Wrong)
""",
    "JOB-2": """
class Steps(JournalSteps):
    @property
    def execution_id(self): return f"{self.job.id}-{self.job.attempt}"
factory = with_steps(Steps)
""",
    "JOB-3": """
class Dispatcher(SqliteDispatcher):
    async def poll(self, execution_id):
        polled = await super().poll(execution_id)
        failed = polled.state.has_ended
        return attrs.evolve(polled, state=type(polled.state)("failed")) if failed else polled
factory = with_backend(Dispatcher)
""",
    "JOB-4": _TRANSLATED.format(error="InvalidJob", other="Transient(str(error), retry_after=0.1)"),
    "JOB-5": _TRANSLATED.format(error="Held", other="InvalidJob(str(error))"),
    "JOB-6": _TRANSLATED.format(error="Transient", other="InvalidJob(str(error))"),
    "JOB-7": _TRANSLATED.format(error="Transient", other="Transient(str(error), retry_after=0.1)"),
    "JOB-8": _TRANSLATED.format(error="Transient", other="Transient(str(error))"),
    "JOB-9": """
class Steps(JournalSteps):
    async def run(self, name, action, kind):
        return attrs.evolve(await super().run(name, action, kind), text="another")
factory = with_steps(Steps)
""",
    "JOB-10": """
class Wrong(RightEngine):
    async def serve(self, started):
        with closing(Store(Path(self.settings.path))) as store:
            store._rows("UPDATE jobs SET state = 'lost' WHERE state = 'open'")
        await super().serve(started)
factory = own(Wrong)
""",
    "JOB-11": _NEVER_RESUMED,
    "JOB-12": """
class Wrong(RightEngine):
    async def serve(self, started):
        with closing(Store(Path(self.settings.path))) as store:
            store._rows("UPDATE jobs SET state = 'done' WHERE kind = 'job' AND attempt > 0")
        await super().serve(started)
factory = own(Wrong)
""",
    "JOB-13": """
class Dispatcher(SqliteDispatcher):
    killed = False
    async def kill(self, execution_id):
        type(self).killed = True
        self.store._rows("UPDATE jobs SET lease = 0, owner = ''")
    async def poll(self, execution_id):
        polled = await super().poll(execution_id)
        return attrs.evolve(polled, state=type(polled.state)("failed")) if self.killed else polled
factory = with_backend(Dispatcher)
""",
    "JOB-14": """
class Steps(JournalSteps):
    async def run(self, name, action, kind): return await action()
factory = with_steps(Steps)
""",
    "JOB-15": """
class Steps(JournalSteps):
    async def lost_attempts(self):
        if self.job.attempt == 2: raise Transient("no answer", retry_after=0.1)
        return NONE_LOST
factory = with_steps(Steps)
""",
    "LOCK-1": _NO_LOCK,
    "LOCK-2": _NO_ORDER,
    "LOCK-3": _NO_ORDER,
    "LOCK-4": """
class Wrong(RightEngine):
    def _start_due_jobs(self, store, group):
        if not len(self._tasks): super()._start_due_jobs(store, group)
factory = own(Wrong)
""",
    "LOCK-5": """
class Steps(JournalSteps):
    def _write_lock(self, tenant, lock, start):
        self.store.write_lock(tenant, attrs.evolve(lock, job=self.job.id))
        return lock.record.with_start(self.execution_id, start)
factory = with_steps(Steps)
""",
    "LOCK-6": """
class Steps(JournalSteps):
    async def complete(self, tenant, transition): pass
factory = with_steps(Steps)
""",
    "LOCK-7": _READS_ANYHOW,
    "LOCK-8": _READS_ANYHOW,
    "RSY-1": _NO_RESYNC.replace("=0", "=0.1") + "factory = with_steps(Steps)",
    "RSY-2": """
def create(context):
    async def resync(ended, steps):
        done = await context.resync(ended, steps)
        then = done.follow_up and attrs.evolve(done.follow_up, after=0.1)
        return attrs.evolve(done, follow_up=then)
    return right.create_engine(attrs.evolve(context, resync=resync))
factory = changed(create)
""",
    "RSY-3": _NO_RESYNC
    + """
    async def complete(self, tenant, transition):
        await super().complete(tenant, transition)
        self.store.send_resync(plan_resync(
            Record(), tenant=tenant, execution_id=self.execution_id,
            operation=transition.operation, after=self.resync_after,
        ))
factory = with_steps(Steps)
""",
    "RSY-4": _NO_LOCK,
    "DRAIN-1": """
class Wrong(RightEngine):
    async def shutdown(self, grace):
        self._stopping.set()
        await self._tasks.drain(0)
factory = own(Wrong)
""",
    "DRAIN-2": """
class Wrong(RightEngine):
    async def shutdown(self, grace):
        await self._tasks.wait_ended()
        self._stopping.set()
factory = own(Wrong)
""",
    "DRAIN-3": """
class Wrong(RightEngine):
    async def shutdown(self, grace): await super().shutdown(60)
factory = own(Wrong)
""",
    "DRAIN-4": _CUT_IS_AN_END,
    "DISK-1": "factory = with_backend(mode=0o644)",
}
"""The lines that make an engine wrong, by the rule that it breaks."""

_SECRET = """
@attrs.frozen(kw_only=True)
class Settings:
    path: str = ""
    token: Secret | None = None
def create(context):
    {create}
    return RightEngine(settings=right.settings_type(), context=attrs.evolve(context, settings=None))
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
class Wrong(RightEngine):
    async def make_latest(self): return await self.register()
factory = own(Wrong)
""",
    "undeclared-refused": """
class Refusing(RightEngine):
    async def make_latest(self): raise EngineRefused("not here")
factory = own(Refusing)
""",
    "slow-check": """
class Wrong(RightEngine):
    def check(self): time.sleep(1.1)
factory = own(Wrong)
""",
    "asks": """
class Asking(RightEngine):
    async def shutdown(self, grace):
        try: await self.context.run_job(b"", None)
        except Transient: pass
factory = own(Asking)
""",
    "deaf": """
class Wrong(RightEngine):
    def _lease(self, store):
        lease = super()._lease(store)
        extend = lease.extend
        async def extend_all():
            await extend()
            return self._tasks
        lease.extend = extend_all
        return lease
factory = own(Wrong)
""",
    "forgetful": """
class Dispatcher(SqliteDispatcher):
    async def poll(self, execution_id): return None
factory = with_backend(Dispatcher)
""",
    "alone": """
class Alone(RightEngine):
    async def serve(self, started):
        with Path(self.settings.path + ".alone").open("x"): pass
        await super().serve(started)
factory = own(Alone)
""",
    "single": """
class Single(RightEngine):
    async def serve(self, started):
        try: Path(self.settings.path + ".single").open("x").close()
        except FileExistsError: raise EngineRefused("another worker serves") from None
        await super().serve(started)
factory = own(Single)
""",
    "unjournaled": "factory = info(capabilities={Capability.TENANT_LOCK: FULL})",
    "follows-another": """
def create(context):
    async def resync(ended, steps):
        done = await context.resync(ended, steps)
        then = done.follow_up and attrs.evolve(done.follow_up, ended=ended)
        return attrs.evolve(done, follow_up=then)
    return right.create_engine(attrs.evolve(context, resync=resync))
factory = changed(create)
""",
    "exits": "raise SystemExit(0)",
    "unimportable": "import landlord_test_nothing",
}
"""Other engines, right and wrong, by name."""


def module_of(name: str, lines: str = "") -> str:
    """Write the module of an engine of this name."""
    return _HEADER.replace("{name!r}", repr(name)) + lines
