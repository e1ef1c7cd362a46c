"""The checks of compute engines that call the engine."""

import signal
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial

import attrs

from landlord_engines_core.compute import ComputeRegistry, ComputeSpec, ResourceState
from landlord_engines_core.compute.registry import find_schema_problems
from landlord_engines_core.conformance.children import call_in_child
from landlord_engines_core.conformance.compute.bench import ComputeBench
from landlord_engines_core.conformance.compute.calls import create_engine
from landlord_engines_core.conformance.lines import Lines
from landlord_engines_core.conformance.state import list_changes, read_state
from landlord_engines_core.conformance.story import CannotRun, RuleBroken
from landlord_engines_core.conformance.subject import Check, Subject
from landlord_engines_core.errors import ComputeRefused, PluginError, SettingsError
from landlord_engines_core.models import config_hash, key_hashes
from landlord_engines_core.plugins import load_compute_engine
from landlord_engines_core.tenants.plan import Action, decide

__all__ = ["list_compute_checks"]

REPEATED = 10
"""How often each operation is repeated."""

AT_ONCE = 8

CANARY = "canary-c41e07"

HOSTILE = (
    *("t-1", "t-10", "x-t-1", "../../etc/passwd", "..", "a b;$(touch /tmp/x)`id`|&", "-rf"),
    *("a=b,c", '{"a": ["b"]}', "line\nbreak\r\n", "\u00fcn\u00ef\u4e2d\U0001f600", "\ud800half"),
    *("CAPITALS", "capitals", "x" * 253, " ", "%00%2e%2e"),
)
"""Ids that a target's names, paths, filters or commands could trip over, some alike."""


def list_compute_checks() -> dict[str, Check]:
    """List the hermetic and live checks, by the id of the rule."""
    hermetic = {"SCH-1": check_schema, "SET-2": check_creation, "OWN-1": check_host_state}
    live: dict[str, Callable[[ComputeBench], str | None]] = {
        "ACT-1": check_missing,
        "ACT-2": check_hashes,
        "ACT-3": check_repeats,
        "ACT-4": check_adoption,
        "ACT-5": check_other_configuration,
        "CUT-1": partial(check_interrupted, "provision"),
        "CUT-2": partial(check_interrupted, "update"),
        "CUT-3": partial(check_interrupted, "destroy"),
        "CUT-4": check_leftovers,
        "LATE-1": check_late_request,
        "DRI-1": check_drifts,
        "PAR-1": check_many,
        "PAR-2": check_same_at_once,
        "IDS-1": check_hostile_ids,
        "SEC-1": check_secrets,
    }
    return {
        **{rule: partial(_play_hermetic, check) for rule, check in hermetic.items()},
        **{rule: partial(_play_live, check) for rule, check in live.items()},
    }


Configs = tuple[Mapping[str, object], ...]
"""The suite's configurations."""


def _play_hermetic(check: Callable[[Subject, Configs], str], subject: Subject) -> str:
    target = subject.target
    configs = () if target is None else (target.config(1), target.config(2))
    # The suite stays here: its module may have no name that another process can import.
    call = partial(_load_and_check, check, attrs.evolve(subject, target=None), configs)
    note: str = call_in_child(call, subject.folder / "hermetic")
    return note


def _load_and_check(
    check: Callable[[Subject, Configs], str], subject: Subject, configs: Configs
) -> str:
    try:
        load_compute_engine(subject.name)
    except PluginError as error:
        raise CannotRun(f"the engine cannot be loaded: {error}") from None
    return check(subject, configs)


def _play_live(check: Callable[[ComputeBench], str | None], subject: Subject) -> str | None:
    if subject.target is None:
        raise CannotRun("the suite gives no configurations, and no view of the target")
    with closing(ComputeBench(subject=subject, target=subject.target)) as bench:
        return check(bench)


def check_schema(subject: Subject, configs: Configs) -> str:
    """Check SCH-1: `config_schema` is JSON Schema 2020-12, and accepts the suite's configurations."""
    _, factory = load_compute_engine(subject.name)
    engine = create_engine(factory, subject.settings, Lines())
    for problem in find_schema_problems(engine.config_schema()):
        raise RuleBroken(problem)
    registry = ComputeRegistry({subject.name: engine})
    for config in configs:
        try:
            registry.check(subject.name, config)
        except ComputeRefused as error:
            raise RuleBroken(f"the engine refuses the suite's configuration: {error}") from None
    return f"accepts {len(configs)} configurations of the suite"


def check_creation(subject: Subject, configs: Configs) -> str:
    """Check SET-2: `create_engine` reaches no target, and refuses wrong settings."""
    del configs
    _, factory = load_compute_engine(subject.name)
    results = []
    for section in ({}, subject.settings):
        try:
            create_engine(factory, section, Lines())
            results.append("created")
        except (SettingsError, ComputeRefused):
            results.append("refused")
        except Exception as error:
            raise RuleBroken(f"create_engine raised {type(error).__name__}") from error
    return f"without settings: {results[0]}, with the suite's: {results[1]}"


def check_host_state(subject: Subject, configs: Configs) -> str:
    """Check OWN-1: the engine changes no state of the process that belongs to the host."""
    del configs
    _, factory = load_compute_engine(subject.name)
    before = read_state()
    create_engine(factory, subject.settings, Lines())
    if changes := list(list_changes(before)):
        raise RuleBroken(f"the engine changed {', '.join(changes)}")
    return "created"


def check_missing(bench: ComputeBench) -> None:
    """Check ACT-1: `inspect` and `destroy` answer for a missing resource."""
    tenant = bench.tenant()
    observed, was_destroyed = bench.run(
        bench.call("inspect", tenant), bench.call("destroy", tenant)
    ).results
    if observed.state is not ResourceState.MISSING or was_destroyed is not False:
        raise bench.rule_broken(
            f"of a tenant without a resource: {observed.state}, destroyed {was_destroyed}"
        )


def check_hashes(bench: ComputeBench) -> None:
    """Check ACT-2: `inspect` returns the hash and the ids that `provision` returned."""
    tenant = bench.tenant()
    calls = (bench.call("provision", tenant), bench.call("healthy", tenant))
    created, observed = bench.run(*calls).results
    expected_hash = config_hash(calls[0].config)
    if observed.config_hash != expected_hash or observed.resource_ids != created.resource_ids:
        raise bench.rule_broken(
            f"the resource is {observed.state} with the hash {observed.config_hash!r}"
        )
    bench.run(bench.call("destroy", tenant))


def check_repeats(bench: ComputeBench) -> None:
    """Check ACT-3: ten repetitions of an operation have the effect of one."""
    tenant = bench.tenant()
    for method, version in (("provision", 1), ("update", 2)):
        calls = [bench.call(method, tenant, version)] * REPEATED
        *results, _ = bench.run(*calls, bench.call("healthy", tenant, version)).results
        ids = {tuple(result.resource_ids.items()) for result in results}
        if len(ids) != 1:
            raise bench.rule_broken(f"{REPEATED} calls of {method} made {len(ids)} resources")
        bench.expect(tenant, 1, f"after {REPEATED} calls of {method}")
    destroyed = bench.run(*[bench.call("destroy", tenant)] * REPEATED).results
    if list(destroyed) != [True, *[False] * (REPEATED - 1)]:
        raise bench.rule_broken(f"{REPEATED} calls of destroy returned {destroyed}")
    bench.expect(tenant, 0, "after a delete")


def check_adoption(bench: ComputeBench) -> None:
    """Check ACT-4: another process finds the resource, and `provision` adopts it."""
    tenant = bench.tenant()
    (created,) = bench.run(bench.call("provision", tenant)).results
    observed, adopted = bench.run(
        bench.call("healthy", tenant), bench.call("provision", tenant)
    ).results
    if observed.state is not ResourceState.HEALTHY or adopted.resource_ids != created.resource_ids:
        raise bench.rule_broken("another process does not find the resource, or makes another one")
    bench.expect(tenant, 1, "after another process provisioned")
    bench.run(bench.call("destroy", tenant))


def check_other_configuration(bench: ComputeBench) -> None:
    """Check ACT-5: `provision` updates an existing resource, and `update` creates a missing one."""
    first, second = bench.tenant(), bench.tenant()
    for tenant, methods in ((first, ("provision", "provision")), (second, ("update", "update"))):
        for version, method in enumerate(methods, 1):
            call = bench.call(method, tenant, version)
            _, observed = bench.run(call, bench.call("healthy", tenant, version)).results
            if observed.config_hash != config_hash(call.config):
                raise bench.rule_broken(f"{method} did not bring version {version}")
        bench.run(bench.call("destroy", tenant))


def check_interrupted(method: str, bench: ComputeBench) -> str:
    """Check CUT-1, CUT-2 and CUT-3: another process continues an operation that was killed."""
    longest = _measure(bench, method)
    for _ in range(bench.target.kills):
        tenant = _prepare(bench, method)
        bench.run_and_kill(bench.call(method, tenant, 2), longest=longest)
        repeated = bench.call(method, tenant, 2)
        if method == "destroy":
            bench.run(repeated)
            bench.expect(tenant, 0, "after a delete that was killed once")
            continue
        _, observed = bench.run(repeated, bench.call("healthy", tenant, 2)).results
        if observed.config_hash != config_hash(repeated.config):
            raise bench.rule_broken(f"{method} does not continue after a kill: {observed.state}")
        bench.expect(tenant, 1, f"after a {method} that was killed once")
        bench.run(bench.call("destroy", tenant))
        bench.expect(tenant, 0, "after the delete")
    return f"{bench.target.kills} kills within {longest:.3f} s"


def check_leftovers(bench: ComputeBench) -> str:
    """Check CUT-4: `destroy` removes what a killed `provision` has left."""
    longest = _measure(bench, "provision")
    for _ in range(bench.target.kills):
        tenant = bench.tenant()
        bench.run_and_kill(bench.call("provision", tenant), longest=longest)
        bench.run(bench.call("destroy", tenant))
        bench.expect(tenant, 0, "after the delete of a tenant whose provision was killed")
    return f"{bench.target.kills} kills within {longest:.3f} s"


def _prepare(bench: ComputeBench, method: str) -> str:
    tenant = bench.tenant()
    if method != "provision":
        bench.run(bench.call("provision", tenant), bench.call("healthy", tenant))
    return tenant


def _measure(bench: ComputeBench, method: str) -> float:
    tenant = _prepare(bench, method)
    longest = bench.measure(bench.call(method, tenant, 2))
    bench.run(bench.call("destroy", tenant))
    return longest


def check_late_request(bench: ComputeBench) -> str:
    """Check LATE-1: `inspect` sees what a late request makes, and `destroy` removes it."""
    longest, waiting_deletes = _measure(bench, "provision"), 0
    for _ in range(bench.target.kills):
        tenant = bench.tenant()
        frozen = bench.start(bench.call("provision", tenant))
        bench.pause(longest)
        frozen.send_signal(signal.SIGSTOP)
        bench.story.append("  is frozen")
        # An engine with a lock may let the delete wait: then no request can come after it.
        (was_destroyed,) = bench.run(bench.call("try_destroy", tenant)).results
        waiting_deletes += was_destroyed is None
        frozen.send_signal(signal.SIGCONT)
        frozen.wait()
        bench.story.append("  went on, and ended")
        remaining = len(bench.list_resources(tenant))
        observed, _ = bench.run(
            bench.call("inspect", tenant), bench.call("destroy", tenant)
        ).results
        if remaining and observed.state is ResourceState.MISSING:
            raise bench.rule_broken("inspect does not see what a late request has made")
        bench.expect(tenant, 0, "after the delete that follows a late request")
    return f"{waiting_deletes} of {bench.target.kills} deletes waited for the frozen process"


def check_drifts(bench: ComputeBench) -> str:
    """Check DRI-1: `inspect` sees changes from outside, and `update` repairs them."""
    if not bench.target.drifts:
        raise CannotRun("the suite declares no drifts")
    for drift in bench.target.drifts:
        tenant = bench.tenant()
        call = bench.call("provision", tenant)
        bench.run(call, bench.call("healthy", tenant))
        bench.disturb(tenant, drift)
        (observed,) = bench.run(bench.call("inspect", tenant)).results
        spec = ComputeSpec(
            tenant=tenant,
            name=tenant,
            location="",
            config=call.config,
            config_hash=config_hash(call.config),
            key_hashes=key_hashes(call.config),
        )
        if decide(spec, observed).action is Action.NOTHING:
            raise bench.rule_broken(f"inspect does not see the drift {drift!r}")
        _, after = bench.run(bench.call("update", tenant), bench.call("healthy", tenant)).results
        if decide(spec, after).action is not Action.NOTHING:
            raise bench.rule_broken(f"update does not repair the drift {drift!r}")
        bench.run(bench.call("destroy", tenant))
    return f"drifts: {', '.join(bench.target.drifts)}"


def check_many(bench: ComputeBench) -> None:
    """Check PAR-1: many tenants at once get a resource each."""
    tenants = [bench.tenant() for _ in range(AT_ONCE)]
    created = bench.run(
        *(bench.call("provision", tenant) for tenant in tenants), at_once=True
    ).results
    if len({tuple(result.resource_ids.items()) for result in created}) != AT_ONCE:
        raise bench.rule_broken("tenants share a resource")
    for tenant in tenants:
        bench.expect(tenant, 1, "after many tenants at once")
    bench.run(*(bench.call("destroy", tenant) for tenant in tenants), at_once=True)


def check_same_at_once(bench: ComputeBench) -> None:
    """Check PAR-2: two processes with the same operation leave one resource, or none."""
    tenant = bench.tenant()
    for method, count in (("provision", 1), ("destroy", 0)):
        children = [bench.start(*[bench.call(method, tenant)] * 3) for _ in range(2)]
        ended = [child.wait() for child in children]
        if not all(end.answer for end in ended):
            raise bench.rule_broken(
                f"{method} of two processes at once failed", *ended[0].log.split("\n")
            )
        bench.expect(tenant, count, f"after {method} by two processes at once")


def check_hostile_ids(bench: ComputeBench) -> None:
    """Check IDS-1: ids of any characters are told apart."""
    tenants = [bench.tenant(prefix) for prefix in HOSTILE]
    bench.run(*(bench.call("provision", tenant) for tenant in tenants), at_once=True)
    bench.run(bench.call("destroy", tenants[0]))
    for tenant in tenants:
        bench.expect(tenant, int(tenant != tenants[0]), "after the delete of another tenant")
    bench.run(*(bench.call("destroy", tenant) for tenant in tenants), at_once=True)


def check_secrets(bench: ComputeBench) -> None:
    """Check SEC-1: no secret of a configuration is in a representation, a log line or a result."""
    tenant = bench.tenant()
    config = bench.target.secret_config(CANARY)
    if CANARY not in repr(config):
        raise CannotRun("the suite's secret configuration does not hold the secret")
    calls = [
        attrs.evolve(bench.call(method, tenant), config=config)
        for method in ("provision", "healthy", "update", "destroy")
    ]
    for text in bench.run(*calls).texts:
        if CANARY in text:
            raise bench.rule_broken("a secret is shown", text.replace(CANARY, "SECRET"))
