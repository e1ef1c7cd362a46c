"""The files in deploy/ fit the settings, and each other."""

import configparser
import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from landlord_engines_core import __version__, host
from landlord_engines_core.exit_codes import ExitCode
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.plugins import find_compute_settings
from landlord_engines_core.settings import Settings, Sources, WorkerSettings
from landlord_engines_restate import RestateSettings
from landlord_test_target.in_memory import RecordingLogger

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KEY = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"
LABELS = {"app.kubernetes.io/name": "landlord-worker"}
LONGEST_END = 6
"""Seconds after the drain in which a worker has ended, see docs/operating/run.md."""


def read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def kinds() -> Mapping[str, Any]:
    """Read the manifest's objects by their kinds."""
    documents = list(yaml.safe_load_all(read("kubernetes.yaml")))
    by_kind = {document["kind"]: document for document in documents}
    assert len(by_kind) == len(documents), "a second object of a kind would not be checked"
    return by_kind


@pytest.fixture(scope="module")
def pod(kinds: Mapping[str, Any]) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = kinds["Deployment"]["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    (only_entry,) = pod["containers"]
    container: Mapping[str, Any] = only_entry
    return container


@pytest.fixture(scope="module")
def compose() -> Mapping[str, Any]:
    document: Mapping[str, Any] = yaml.safe_load(read("compose.yaml"))
    return document


def load(document: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Load and check settings as a worker does at its start."""
    sources = Sources(
        document=document,
        file="",
        environment=environment,
        flags={},
        compute_type=find_compute_settings,
    )
    loaded = sources.load("restate", RestateSettings)
    loaded.check()
    return loaded.settings


def kubernetes_settings(kinds: Mapping[str, Any]) -> Settings:
    document = yaml.safe_load(kinds["ConfigMap"]["data"]["config.yaml"])
    document["workflow"]["restate"]["identity_keys"] = [KEY]
    return load(document, {})


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


async def accept_defaults(settings: Settings) -> None:
    """Build the compute engines, which check the defaults for tenants."""
    registry = host.build_registry(settings, RecordingLogger(), Metrics())
    await registry.aclose()


async def test_the_settings_of_the_pod_are_valid_and_name_its_ports(
    kinds: Mapping[str, Any], container: Mapping[str, Any]
) -> None:
    settings = kubernetes_settings(kinds)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    await accept_defaults(settings)

    assert settings.engine.listen_address() == ("", ports["jobs"])
    assert settings.worker.probe_address == f":{ports['probes']}"
    for probe, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/livez")):
        assert container[probe]["httpGet"] == {"path": path, "port": "probes"}


def test_the_manifest_leaves_the_key_of_restate_to_the_operator(kinds: Mapping[str, Any]) -> None:
    document = yaml.safe_load(kinds["ConfigMap"]["data"]["config.yaml"])

    assert document["workflow"]["restate"]["identity_keys"] == ["publickeyv1_..."]
    assert "allow_unsigned" not in document["workflow"]["restate"]


def test_the_service_has_a_port_for_jobs_and_one_for_probes(
    kinds: Mapping[str, Any], container: Mapping[str, Any]
) -> None:
    service = kinds["Service"]
    ports = {port["name"]: port for port in service["spec"]["ports"]}

    assert [port["name"] for port in container["ports"]] == [*ports] == ["jobs", "probes"]
    assert all(port["targetPort"] == name for name, port in ports.items())
    assert kubernetes_settings(kinds).engine.advertised_url == (
        f"http://{service['metadata']['name']}:{ports['jobs']['port']}"
    )


def test_the_pod_may_end_later_than_its_drain(
    kinds: Mapping[str, Any], pod: Mapping[str, Any]
) -> None:
    drain = kubernetes_settings(kinds).worker.drain_timeout

    assert pod["terminationGracePeriodSeconds"] > drain + LONGEST_END


def test_two_replicas_share_a_target_that_is_no_part_of_a_pod(kinds: Mapping[str, Any]) -> None:
    assert kinds["Deployment"]["spec"]["replicas"] == 2
    assert set(kubernetes_settings(kinds).compute) <= {"docker", "ecs"}


def selectors(document: object) -> Iterator[Mapping[str, str]]:
    """List the labels by which an object selects the worker's pods."""
    if isinstance(document, list):
        for item in document:
            yield from selectors(item)
    elif isinstance(document, dict):
        for key, value in document.items():
            if key in ("selector", "podSelector", "labelSelector"):
                yield value.get("matchLabels", value)
            else:
                yield from selectors(value)


@pytest.mark.deploy
@pytest.mark.parametrize("minor", ["1.35", "1.36", "1.37"])
def test_the_manifest_is_valid_by_the_strict_schemas_of_kubernetes(
    kinds: Mapping[str, Any], minor: str
) -> None:
    # Only `nox -s deploy` installs it.
    schemas = import_module("kubernetes_validate")

    for document in kinds.values():
        schemas.validate(document, minor, strict=True)

    with pytest.raises(schemas.ValidationError):
        schemas.validate({**kinds["Service"], "misspelt": 1}, minor, strict=True)


def test_every_object_selects_the_pods_by_the_same_label(
    kinds: Mapping[str, Any], pod: Mapping[str, Any]
) -> None:
    policy = kinds["NetworkPolicy"]["spec"]
    objects = [kinds["Service"], kinds["PodDisruptionBudget"], kinds["Deployment"]["spec"]]
    monitor = yaml.safe_load(read("podmonitor.yaml"))

    selected = [*selectors([*objects, monitor]), policy["podSelector"]["matchLabels"]]

    assert len(selected) == 6
    assert all(labels == LABELS for labels in selected)
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= LABELS.items()
    assert pod["topologySpreadConstraints"]


def test_the_manifest_defines_what_the_pod_refers_to(
    kinds: Mapping[str, Any], pod: Mapping[str, Any], container: Mapping[str, Any]
) -> None:
    (volume,) = pod["volumes"]

    assert volume["configMap"]["name"] == kinds["ConfigMap"]["metadata"]["name"]
    assert pod["serviceAccountName"] == kinds["ServiceAccount"]["metadata"]["name"]
    assert container["volumeMounts"] == [
        {"name": volume["name"], "mountPath": "/etc/landlord", "readOnly": True}
    ]
    assert pod["enableServiceLinks"] is False
    assert container["resources"]["limits"] == {"memory": "512Mi"}


def test_the_network_policy_admits_jobs_and_metrics_and_lets_the_worker_reach_its_servers(
    kinds: Mapping[str, Any],
) -> None:
    policy = kinds["NetworkPolicy"]["spec"]
    admitted = [rule["ports"] for rule in policy["ingress"]]
    reached = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    engine = kubernetes_settings(kinds).engine

    assert admitted == [[{"port": "jobs"}], [{"port": "probes"}]]
    assert all(rule["from"] for rule in policy["ingress"])
    assert {int(engine.admin_url.rpartition(":")[2]), 8080, 443, 53} == reached


async def test_landlord_and_the_worker_of_the_compose_file_share_valid_settings(
    compose: Mapping[str, Any],
) -> None:
    worker = compose["services"]["worker"]
    document = yaml.safe_load(read("landlord.yaml"))

    settings = load(document, worker["environment"])
    await accept_defaults(settings)

    assert [*settings.compute] == ["docker"]
    assert settings.engine.advertised_url == "http://worker:9080"
    assert settings.worker.landlord_api_url == "http://landlord:8080"
    assert seconds(worker["stop_grace_period"]) > settings.worker.drain_timeout + LONGEST_END
    assert worker["group_add"]
    assert "./landlord.yaml:/etc/landlord/config.yaml:ro" in worker["volumes"]


def test_the_services_in_the_comments_of_the_compose_file_fit_the_settings() -> None:
    text = re.sub(r"^( *)# (?=  |\w+:|postgres)", r"\1", read("compose.yaml"), flags=re.MULTILINE)
    services = yaml.safe_load(text)["services"]
    database = yaml.safe_load(read("landlord.yaml"))["database"]
    variables = services["postgres"]["environment"]

    assert [*services] == ["restate", "worker", "landlord", "postgres"]
    assert services["landlord"]["volumes"] == ["./landlord.yaml:/etc/landlord/config.yaml:ro"]
    assert database["host"] in services
    assert {database["user"], database["password"], database["database"]} == {*variables.values()}


def test_the_image_runs_the_worker_itself_and_not_as_root() -> None:
    *_, last = read("Dockerfile").split("\nFROM ")
    instructions = dict(line.split(" ", 1) for line in last.splitlines() if line[:1].isupper())

    assert json.loads(instructions["ENTRYPOINT"]) == ["landlord-host", "--engine", "restate"]
    assert instructions["USER"].split(":")[0].isdecimal()
    assert instructions["USER"] != "0:0"


def test_the_image_has_pinned_versions_and_no_layer_with_wheels() -> None:
    build, last = read("Dockerfile").split("\nFROM ")[1:]

    assert "--constraint /constraints.txt" in build
    assert re.findall(r"^(?:COPY|ADD) .*$", last, re.MULTILINE) == [
        "COPY --from=build /opt/landlord /opt/landlord"
    ]


def test_the_context_of_the_image_is_the_constraints_and_the_wheels() -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert [rule for rule in rules if not rule.startswith("#")] == [
        "*",
        "!constraints.txt",
        "!dist/*.whl",
    ]


def test_every_file_names_the_image_of_this_version(
    compose: Mapping[str, Any], container: Mapping[str, Any]
) -> None:
    image = f"landlord-worker:{__version__}"

    assert compose["services"]["worker"]["image"] == container["image"] == image
    assert f'org.opencontainers.image.version="{__version__}"' in read("Dockerfile")
    page = (ROOT / "docs" / "operating" / "containers.md").read_text(encoding="utf-8")
    assert {*re.findall(r"landlord-worker:[\w.]+", page)} == {image}


def test_the_unit_ends_a_worker_after_its_drain_and_restarts_it_unless_that_is_useless() -> None:
    # Keys of a unit may repeat, and the last one counts here.
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    unit.read_string(read("landlord-host.service"))
    service = unit["Service"]

    assert service["ExecStart"].split()[1:] == ["--engine", "restate"]
    assert float(service["TimeoutStopSec"]) > WorkerSettings().drain_timeout + LONGEST_END
    assert {int(code) for code in service["RestartPreventExitStatus"].split()} == {
        ExitCode.USAGE,
        ExitCode.REFUSED,
    }
    assert service["KillMode"] == "process"
    assert service["LimitNOFILE"] == "65536"
