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
        id="SIG-1",
        tier=Tier.HERMETIC,
        text="The engine changes no signal handler, variable, logger or folder of the process.",
        reason="They belong to the host, which drains at a signal.",
    ),
)
"""All rules, in the order of the document."""
