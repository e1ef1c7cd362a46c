"""The rules of a compute engine, as data. `docs/compute-contract.md` has the same table."""

from functools import partial

from landlord_engines_core.conformance.rules import Level, Rule, Tier

__all__ = ["COMPUTE_RULES"]

_must = partial(Rule, level=Level.MUST)
_should = partial(Rule, level=Level.SHOULD)

COMPUTE_RULES: tuple[Rule, ...] = (
    _must(
        id="MOD-1",
        tier=Tier.STATIC,
        text="The entry point leads to a `ComputeEngineFactory` that the host accepts.",
        reason="The host refuses any other object.",
    ),
    _must(
        id="MOD-2",
        tier=Tier.STATIC,
        text="The import writes nothing to the standard output.",
        reason="Commands print there what programs read.",
    ),
    _should(
        id="MOD-3",
        tier=Tier.STATIC,
        text="The import takes at most 2 s of processor time.",
        reason="Each command and each start of a worker pays for it.",
    ),
    _must(
        id="MOD-4",
        tier=Tier.STATIC,
        text="The import changes no signal handler, variable, logger or folder, and starts no thread.",
        reason="They belong to the host.",
    ),
    _must(
        id="PIN-1",
        tier=Tier.STATIC,
        text="The factory names the contract's major version of the installed core.",
        reason="Another major version has other methods.",
    ),
    _should(
        id="PIN-2",
        tier=Tier.STATIC,
        text="The distribution requires a range of core with an upper bound.",
        reason="The next major version of core would break it at the customer.",
    ),
    _must(
        id="SET-1",
        tier=Tier.STATIC,
        text="The settings class is an attrs class.",
        reason="Core loads, checks and prints each setting by its field.",
    ),
    _must(
        id="SET-2",
        tier=Tier.HERMETIC,
        text="`create_engine` reaches no target, and raises `SettingsError` or `ComputeRefused` for settings that it refuses.",
        reason="Commands create an engine only to check the settings, and show the error.",
    ),
    _must(
        id="SCH-1",
        tier=Tier.HERMETIC,
        text="`config_schema` is JSON Schema 2020-12, and accepts the suite's configurations.",
        reason="Core checks each configuration with it.",
    ),
    _must(
        id="OWN-1",
        tier=Tier.HERMETIC,
        text="The engine changes no signal handler, variable, logger or folder of the process.",
        reason="They belong to the host, which drains at a signal.",
    ),
    _must(
        id="ACT-1",
        tier=Tier.LIVE,
        text="`inspect` shows a missing resource as missing, and its `destroy` returns `False`.",
        reason="A delete of a tenant that is gone succeeds.",
    ),
    _must(
        id="ACT-2",
        tier=Tier.LIVE,
        text="`inspect` returns the configuration's hash and the resource ids that `provision` returned.",
        reason="The lifecycle compares hashes to see what changed.",
    ),
    _must(
        id="ACT-3",
        tier=Tier.LIVE,
        text="Ten repetitions of an operation have the effect of one.",
        reason="A step runs again after each crash.",
    ),
    _must(
        id="ACT-4",
        tier=Tier.LIVE,
        text="Another process finds the resource, and `provision` adopts it.",
        reason="A worker keeps no state.",
    ),
    _must(
        id="ACT-5",
        tier=Tier.LIVE,
        text="`provision` updates an existing resource, and `update` creates a missing one.",
        reason="The record may be older than the target.",
    ),
    _must(
        id="CUT-1",
        tier=Tier.LIVE,
        text="A `provision` continues after kill -9 at random times.",
        reason="Machines fail.",
    ),
    _must(
        id="CUT-2",
        tier=Tier.LIVE,
        text="An `update` continues after kill -9 at random times.",
        reason="Machines fail.",
    ),
    _must(
        id="CUT-3",
        tier=Tier.LIVE,
        text="A `destroy` continues after kill -9 at random times.",
        reason="Machines fail.",
    ),
    _must(
        id="CUT-4",
        tier=Tier.LIVE,
        text="`destroy` removes what a killed `provision` has left.",
        reason="Nobody else would.",
    ),
    _must(
        id="LATE-1",
        tier=Tier.LIVE,
        text="`inspect` sees what a request makes after a delete, and the next `destroy` removes it.",
        reason="The resync relies on it.",
    ),
    _must(
        id="DRI-1",
        tier=Tier.LIVE,
        text="`inspect` sees changes from outside, and `update` repairs them.",
        reason="The suite declares the changes.",
    ),
    _must(
        id="PAR-1",
        tier=Tier.LIVE,
        text="Many tenants at once get a resource each.",
        reason="All jobs of a worker share the engine.",
    ),
    _must(
        id="PAR-2",
        tier=Tier.LIVE,
        text="Two processes with the same operation at once leave one resource, or none after a delete.",
        reason="A frozen worker may wake beside its successor.",
    ),
    _must(
        id="IDS-1",
        tier=Tier.LIVE,
        text="Ids of any characters are told apart.",
        reason="Landlord passes on what a user typed.",
    ),
    _must(
        id="SEC-1",
        tier=Tier.LIVE,
        text="No secret of a configuration is in a representation, a log line or a result.",
        reason="Logs leave the machine.",
    ),
)
"""All rules, in the order of the document."""
