"""The rules of a worker engine, as data. `docs/engine-contract.md` has the same table."""

from functools import partial

from landlord_engines_core.conformance.rules import Level, Rule, Tier

__all__ = ["WORKER_RULES"]

_must = partial(Rule, level=Level.MUST)
_should = partial(Rule, level=Level.SHOULD)

WORKER_RULES: tuple[Rule, ...] = (
    _must(
        id="LOAD-1",
        tier=Tier.STATIC,
        text="The entry point leads to an `EngineFactory` that the host accepts.",
        reason="The host refuses any other object.",
    ),
    _must(
        id="LOAD-2",
        tier=Tier.STATIC,
        text="The import writes nothing to the standard output.",
        reason="Commands print there what programs read.",
    ),
    _should(
        id="LOAD-3",
        tier=Tier.STATIC,
        text="The import takes at most 2 s of processor time.",
        reason="Each command and each start of a worker pays for it.",
    ),
    _must(
        id="LOAD-4",
        tier=Tier.STATIC,
        text="The import changes no signal handler, variable, logger or folder, and starts no thread.",
        reason="They belong to the host.",
    ),
    _must(
        id="VER-1",
        tier=Tier.STATIC,
        text="The factory names the contract's major version of the installed core.",
        reason="Another major version has other methods.",
    ),
    _should(
        id="VER-2",
        tier=Tier.STATIC,
        text="The distribution requires a range of core with an upper bound.",
        reason="The next major version of core would break it at the customer.",
    ),
    _must(
        id="CFG-1",
        tier=Tier.STATIC,
        text="The settings class is an attrs class.",
        reason="Core loads, checks and prints each setting by its field.",
    ),
    _must(
        id="CFG-2",
        tier=Tier.HERMETIC,
        text="`create_engine` reaches no backend, and raises `SettingsError` for settings that it refuses.",
        reason="Commands create an engine only to check the settings, and show the error.",
    ),
    _must(
        id="CFG-3",
        tier=Tier.HERMETIC,
        text="No secret of the settings is in a representation, a log line or an error.",
        reason="Logs and errors leave the machine.",
    ),
    _must(
        id="CAP-1",
        tier=Tier.STATIC,
        text="The factory declares the capability `tenant-lock` in full.",
        reason="Without it two jobs of a tenant could overlap, and the host refuses to serve.",
    ),
    _must(
        id="CAP-2",
        tier=Tier.HERMETIC,
        text="The engine implements the methods of the capabilities that it declares, and of no other.",
        reason="The host calls a method only if its capability is declared.",
    ),
    _must(
        id="LIFE-1",
        tier=Tier.HERMETIC,
        text="`shutdown` returns within its grace before `serve`, and a second time.",
        reason="The host shuts down an engine that only registered, and may call again.",
    ),
    _must(
        id="LIFE-2",
        tier=Tier.HERMETIC,
        text="An engine that never served leaves no thread, task or descriptor.",
        reason="A command would not end, and a test would warn.",
    ),
    _must(
        id="LIFE-3",
        tier=Tier.HERMETIC,
        text="`check` makes no connection, and returns or raises `EngineRefused`.",
        reason="The command `check` shows the reason without a backend.",
    ),
    _must(
        id="LIFE-4",
        tier=Tier.LIVE,
        text="`serve` calls `started` once, and returns after `shutdown`.",
        reason="The host registers after the one, and ends its process after the other.",
    ),
    _must(
        id="SIG-1",
        tier=Tier.HERMETIC,
        text="The engine changes no signal handler, variable, logger or folder of the process.",
        reason="They belong to the host, which drains at a signal.",
    ),
    _must(
        id="SIG-2",
        tier=Tier.LIVE,
        text="SIGTERM of a serving worker begins the host's drain, and the worker exits with 0.",
        reason="A library that takes the signal would keep the worker from its drain.",
    ),
    _must(
        id="REG-1",
        tier=Tier.LIVE,
        text="`register` answers `registered` for a serving worker, and a second time too.",
        reason="The host registers again if the registration is lost.",
    ),
    _must(
        id="REG-2",
        tier=Tier.LIVE,
        text="`dry_run_registration` answers before `serve`.",
        reason="The command `check` runs it beside a worker.",
        capability="dry-run-registration",
    ),
    _must(
        id="REG-3",
        tier=Tier.LIVE,
        text="`watch_registration` answers `registered` for a registered worker.",
        reason="Readiness depends on it.",
        capability="watch-registration",
    ),
    _must(
        id="JOB-1",
        tier=Tier.LIVE,
        text="`run_job` gets the bytes of the body that was dispatched.",
        reason="A second encoding changes numbers and hides errors.",
    ),
    _must(
        id="JOB-2",
        tier=Tier.LIVE,
        text="`Steps.execution_id` is the id that the dispatcher returned, the same in each attempt.",
        reason="The record knows a job by it.",
    ),
    _must(
        id="JOB-3",
        tier=Tier.LIVE,
        text="A job whose `run_job` returns is read as succeeded.",
        reason="Landlord waits for the end.",
    ),
    _must(
        id="JOB-4",
        tier=Tier.LIVE,
        text="`InvalidJob` ends the job: it is read as ended, and not tried again.",
        reason="No other attempt could succeed.",
    ),
    _must(
        id="JOB-5",
        tier=Tier.LIVE,
        text="`Held` keeps the job open, read as backing off, and tries it after `retry_after`.",
        reason="Landlord dispatches again once the configuration changes.",
    ),
    _must(
        id="JOB-6",
        tier=Tier.LIVE,
        text="`Transient` never ends a job.",
        reason="Landlord takes every end for a success.",
    ),
    _should(
        id="JOB-7",
        tier=Tier.LIVE,
        text="The pauses after `Transient` grow from about 0.5 s.",
        reason="A target in trouble recovers sooner.",
    ),
    _must(
        id="JOB-8",
        tier=Tier.LIVE,
        text="After a `Transient` with `retry_after` the next attempt comes after that pause.",
        reason="The target named it.",
    ),
    _must(
        id="JOB-9",
        tier=Tier.LIVE,
        text="`Steps.run` returns the value of its action.",
        reason="The next steps rely on it.",
    ),
    _must(
        id="JOB-10",
        tier=Tier.LIVE,
        text="A job that was dispatched while no worker ran is done by the next worker.",
        reason="Workers are replaced.",
    ),
    _must(
        id="JOB-11",
        tier=Tier.LIVE,
        text="A job goes on after kill -9 between any two calls of `Steps`.",
        reason="Machines fail.",
    ),
    _must(
        id="JOB-12",
        tier=Tier.LIVE,
        text="Jobs go on after kill -9 at random times.",
        reason="A kill may come inside a call, too.",
    ),
    _must(
        id="JOB-13",
        tier=Tier.LIVE,
        text="A job that Landlord kills is cancelled, read as ended, and not tried again.",
        reason="Landlord kills a job to send another one.",
    ),
    _must(
        id="JOB-14",
        tier=Tier.LIVE,
        text="A finished step does not run again, and a later attempt gets its value.",
        reason="The engine declares a journal.",
        capability="journal",
    ),
    _must(
        id="JOB-15",
        tier=Tier.LIVE,
        text="`Steps.lost_attempts` never fails.",
        reason="It is the first call of each attempt.",
    ),
    _must(
        id="LOCK-1",
        tier=Tier.LIVE,
        text="The changes of two jobs of one tenant never overlap, and the job dispatched last is done.",
        reason="Two changes at once leave what nobody asked for.",
    ),
    _should(
        id="LOCK-2",
        tier=Tier.LIVE,
        text="A younger job gets the lock once the former holder has ended, with the request under way.",
        reason="A request that lands late undoes its change, until the resync repairs it.",
    ),
    _must(
        id="LOCK-3",
        tier=Tier.LIVE,
        text="`acquire` raises `Superseded` in a job that was dispatched before the holder.",
        reason="The job dispatched last wins.",
    ),
    _must(
        id="LOCK-4",
        tier=Tier.LIVE,
        text="A job does not wait for jobs of other tenants.",
        reason="A slow tenant would stop all others.",
    ),
    _must(
        id="LOCK-5",
        tier=Tier.LIVE,
        text="The start of a job is in the record once `acquire` has returned, whatever happens then.",
        reason="A later delete looks there for resources.",
    ),
    _must(
        id="LOCK-6",
        tier=Tier.LIVE,
        text="`complete` writes the end of the job into the record, for all later workers.",
        reason="The order of jobs depends on it.",
    ),
    _must(
        id="LOCK-7",
        tier=Tier.LIVE,
        text="A killed job sends no request after its process was frozen: `read_record` raises, or it is cancelled.",
        reason="The tenant may be deleted by then.",
    ),
    _must(
        id="LOCK-8",
        tier=Tier.LIVE,
        text="An attempt that was frozen for longer than a lease does not continue beside its successor.",
        reason="A full disk or a debugger freezes a process.",
    ),
    _must(
        id="RSY-1",
        tier=Tier.LIVE,
        text="`resync` is called for each job, `host.resync_after` seconds after it got the lock.",
        reason="It repairs what Landlord did not see.",
        capability="resync",
    ),
    _must(
        id="RSY-2",
        tier=Tier.LIVE,
        text="A follow-up of a resync is called after its pause, with its job.",
        reason="The last request of a killed job may be under way.",
        capability="resync",
    ),
    _must(
        id="RSY-3",
        tier=Tier.LIVE,
        text="`resync` is called for a job that was killed, too.",
        reason="A killed job leaves its work unfinished.",
        capability="resync",
    ),
    _must(
        id="RSY-4",
        tier=Tier.LIVE,
        text="A job stops a running resync, and gets the lock after it.",
        reason="Each job has priority over a resync.",
        capability="resync",
    ),
    _must(
        id="DRAIN-1",
        tier=Tier.LIVE,
        text="A drain lets a running step finish within its time.",
        reason="A cut step is work for the next worker.",
    ),
    _must(
        id="DRAIN-2",
        tier=Tier.LIVE,
        text="A worker begins no job later than 1 s after its drain has begun.",
        reason="The job would be cut.",
    ),
    _must(
        id="DRAIN-3",
        tier=Tier.LIVE,
        text="A step that a drain's deadline cuts is no end of its job.",
        reason="Landlord would take it for a success.",
    ),
    _must(
        id="DRAIN-4",
        tier=Tier.LIVE,
        text="A job that a second signal cuts goes on with the next worker.",
        reason="Operators are impatient.",
    ),
    _should(
        id="DISK-1",
        tier=Tier.LIVE,
        text="A local backend keeps files with jobs readable for its user only.",
        reason="Bodies may hold secrets of tenants.",
    ),
)
"""All rules, in the order of the document."""
