"""The checks of compute engines that call the engine."""

import signal
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial

import attrs

from landlord_engines_core.compute import ComputeRegistry, ComputeSpec, ResourceState
from landlord_engines_core.compute.registry import find_schema_problems
from landlord_engines_core.conformance.children import call_in_child
from landlord_engines_core.conformance.compute.acts import create_engine
from landlord_engines_core.conformance.compute.bench import ComputeBench
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
        "CUT-1": partial(check_cut, "provision"),
        "CUT-2": partial(check_cut, "update"),
        "CUT-3": partial(check_cut, "destroy"),
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
    call = partial(_load_and, check, attrs.evolve(subject, target=None), configs)
    note: str = call_in_child(call, subject.folder / "hermetic")
    return note


def _load_and(check: Callable[[Subject, Configs], str], subject: Subject, configs: Configs) -> str:
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
    """SCH-1."""
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
    """SET-2."""
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
    """OWN-1."""
    del configs
    _, factory = load_compute_engine(subject.name)
    before = read_state()
    create_engine(factory, subject.settings, Lines())
    if changes := list(list_changes(before)):
        raise RuleBroken(f"the engine changed {', '.join(changes)}")
    return "created"


def check_missing(bench: ComputeBench) -> None:
    """ACT-1."""
    tenant = bench.tenant()
    seen, gone = bench.run(bench.act("inspect", tenant), bench.act("destroy", tenant)).results
    if seen.state is not ResourceState.MISSING or gone is not False:
        raise bench.broken(f"of a tenant without a resource: {seen.state}, destroyed {gone}")


def check_hashes(bench: ComputeBench) -> None:
    """ACT-2."""
    tenant = bench.tenant()
    acts = (bench.act("provision", tenant), bench.act("healthy", tenant))
    made, seen = bench.run(*acts).results
    expected_hash = config_hash(acts[0].config)
    if seen.config_hash != expected_hash or seen.resource_ids != made.resource_ids:
        raise bench.broken(f"the resource is {seen.state} with the hash {seen.config_hash!r}")
    bench.run(bench.act("destroy", tenant))


def check_repeats(bench: ComputeBench) -> None:
    """ACT-3."""
    tenant = bench.tenant()
    for method, version in (("provision", 1), ("update", 2)):
        acts = [bench.act(method, tenant, version)] * REPEATED
        done = bench.run(*acts, bench.act("healthy", tenant, version))
        ids = {tuple(result.resource_ids.items()) for result in done.results[:-1]}
        if len(ids) != 1:
            raise bench.broken(f"{REPEATED} calls of {method} made {len(ids)} resources")
        bench.expect(tenant, 1, f"after {REPEATED} calls of {method}")
    gone = bench.run(*[bench.act("destroy", tenant)] * REPEATED).results
    if list(gone) != [True, *[False] * (REPEATED - 1)]:
        raise bench.broken(f"{REPEATED} calls of destroy returned {gone}")
    bench.expect(tenant, 0, "after a delete")


def check_adoption(bench: ComputeBench) -> None:
    """ACT-4."""
    tenant = bench.tenant()
    (made,) = bench.run(bench.act("provision", tenant)).results
    seen, adopted = bench.run(bench.act("healthy", tenant), bench.act("provision", tenant)).results
    if seen.state is not ResourceState.HEALTHY or adopted.resource_ids != made.resource_ids:
        raise bench.broken("another process does not find the resource, or makes another one")
    bench.expect(tenant, 1, "after another process provisioned")
    bench.run(bench.act("destroy", tenant))


def check_other_configuration(bench: ComputeBench) -> None:
    """ACT-5."""
    one, other = bench.tenant(), bench.tenant()
    for tenant, acts in ((one, ("provision", "provision")), (other, ("update", "update"))):
        for version, method in enumerate(acts, 1):
            act = bench.act(method, tenant, version)
            _, seen = bench.run(act, bench.act("healthy", tenant, version)).results
            if seen.config_hash != config_hash(act.config):
                raise bench.broken(f"{method} did not bring version {version}")
        bench.run(bench.act("destroy", tenant))


def check_cut(method: str, bench: ComputeBench) -> str:
    """CUT-1, CUT-2 and CUT-3."""
    longest = _measure(bench, method)
    for _ in range(bench.target.cuts):
        tenant = _prepare(bench, method)
        bench.cut(bench.act(method, tenant, 2), longest=longest)
        again = bench.act(method, tenant, 2)
        if method == "destroy":
            bench.run(again)
            bench.expect(tenant, 0, "after a delete that was killed once")
            continue
        _, seen = bench.run(again, bench.act("healthy", tenant, 2)).results
        if seen.config_hash != config_hash(again.config):
            raise bench.broken(f"{method} does not continue after a kill: {seen.state}")
        bench.expect(tenant, 1, f"after a {method} that was killed once")
        bench.run(bench.act("destroy", tenant))
        bench.expect(tenant, 0, "after the delete")
    return f"{bench.target.cuts} kills within {longest:.3f} s"


def check_leftovers(bench: ComputeBench) -> str:
    """CUT-4."""
    longest = _measure(bench, "provision")
    for _ in range(bench.target.cuts):
        tenant = bench.tenant()
        bench.cut(bench.act("provision", tenant), longest=longest)
        bench.run(bench.act("destroy", tenant))
        bench.expect(tenant, 0, "after the delete of a tenant whose provision was killed")
    return f"{bench.target.cuts} kills within {longest:.3f} s"


def _prepare(bench: ComputeBench, method: str) -> str:
    tenant = bench.tenant()
    if method != "provision":
        bench.run(bench.act("provision", tenant), bench.act("healthy", tenant))
    return tenant


def _measure(bench: ComputeBench, method: str) -> float:
    tenant = _prepare(bench, method)
    longest = bench.measure(bench.act(method, tenant, 2))
    bench.run(bench.act("destroy", tenant))
    return longest


def check_late_request(bench: ComputeBench) -> str:
    """LATE-1."""
    longest, waited = _measure(bench, "provision"), 0
    for _ in range(bench.target.cuts):
        tenant = bench.tenant()
        frozen = bench.start(bench.act("provision", tenant))
        bench.pause(longest)
        frozen.send_signal(signal.SIGSTOP)
        bench.story.append("  is frozen")
        # An engine with a lock may let the delete wait: then no request can come after it.
        (gone,) = bench.run(bench.act("try_destroy", tenant)).results
        waited += gone is None
        frozen.send_signal(signal.SIGCONT)
        frozen.wait()
        bench.story.append("  went on, and ended")
        left = len(bench.look(tenant))
        seen, _ = bench.run(bench.act("inspect", tenant), bench.act("destroy", tenant)).results
        if left and seen.state is ResourceState.MISSING:
            raise bench.broken("inspect does not see what a late request has made")
        bench.expect(tenant, 0, "after the delete that follows a late request")
    return f"{waited} of {bench.target.cuts} deletes waited for the frozen process"


def check_drifts(bench: ComputeBench) -> str:
    """DRI-1."""
    if not bench.target.drifts:
        raise CannotRun("the suite declares no drifts")
    for drift in bench.target.drifts:
        tenant = bench.tenant()
        act = bench.act("provision", tenant)
        bench.run(act, bench.act("healthy", tenant))
        bench.disturb(tenant, drift)
        (seen,) = bench.run(bench.act("inspect", tenant)).results
        spec = ComputeSpec(
            tenant=tenant,
            name=tenant,
            location="",
            config=act.config,
            config_hash=config_hash(act.config),
            key_hashes=key_hashes(act.config),
        )
        if decide(spec, seen).action is Action.NOTHING:
            raise bench.broken(f"inspect does not see the drift {drift!r}")
        _, after = bench.run(bench.act("update", tenant), bench.act("healthy", tenant)).results
        if decide(spec, after).action is not Action.NOTHING:
            raise bench.broken(f"update does not repair the drift {drift!r}")
        bench.run(bench.act("destroy", tenant))
    return f"drifts: {', '.join(bench.target.drifts)}"


def check_many(bench: ComputeBench) -> None:
    """PAR-1."""
    tenants = [bench.tenant() for _ in range(AT_ONCE)]
    made = bench.run(*(bench.act("provision", tenant) for tenant in tenants), at_once=True).results
    if len({tuple(result.resource_ids.items()) for result in made}) != AT_ONCE:
        raise bench.broken("tenants share a resource")
    for tenant in tenants:
        bench.expect(tenant, 1, "after many tenants at once")
    bench.run(*(bench.act("destroy", tenant) for tenant in tenants), at_once=True)


def check_same_at_once(bench: ComputeBench) -> None:
    """PAR-2."""
    tenant = bench.tenant()
    for method, count in (("provision", 1), ("destroy", 0)):
        children = [bench.start(*[bench.act(method, tenant)] * 3) for _ in range(2)]
        ended = [child.wait() for child in children]
        if not all(end.answer for end in ended):
            raise bench.broken(
                f"{method} of two processes at once failed", *ended[0].log.split("\n")
            )
        bench.expect(tenant, count, f"after {method} by two processes at once")


def check_hostile_ids(bench: ComputeBench) -> None:
    """IDS-1."""
    tenants = [bench.tenant(like) for like in HOSTILE]
    bench.run(*(bench.act("provision", tenant) for tenant in tenants), at_once=True)
    bench.run(bench.act("destroy", tenants[0]))
    for tenant in tenants:
        bench.expect(tenant, int(tenant != tenants[0]), "after the delete of another tenant")
    bench.run(*(bench.act("destroy", tenant) for tenant in tenants), at_once=True)


def check_secrets(bench: ComputeBench) -> None:
    """SEC-1."""
    tenant = bench.tenant()
    config = bench.target.secret_config(CANARY)
    if CANARY not in repr(config):
        raise CannotRun("the suite's secret configuration does not hold the secret")
    acts = [
        attrs.evolve(bench.act(method, tenant), config=config)
        for method in ("provision", "healthy", "update", "destroy")
    ]
    for text in bench.run(*acts).texts:
        if CANARY in text:
            raise bench.broken("a secret is shown", text.replace(CANARY, "SECRET"))
