"""The files in deploy/ fit the settings, and each other."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from landlord_engines_core.settings import Settings, Sources
from landlord_engines_restate import RestateSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
KEY = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"


def kubernetes() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    service, deployment = documents
    return service, deployment["spec"]["template"]["spec"]


def compose() -> Mapping[str, Any]:
    worker: Mapping[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"][
        "worker"
    ]
    return worker


def settings_of(environment: Mapping[str, str]) -> Settings:
    sources = Sources(document={}, file="", environment=environment, flags={})
    settings = sources.load("restate", RestateSettings).settings
    settings.engine.check()
    return settings


def test_the_environment_of_the_pod_is_valid_and_its_grace_period_exceeds_the_drain() -> None:
    service, pod = kubernetes()
    (container,) = pod["containers"]
    environment = {variable["name"]: variable.get("value", KEY) for variable in container["env"]}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    settings = settings_of(environment)

    assert pod["terminationGracePeriodSeconds"] > settings.worker.drain_timeout + 5
    assert settings.engine.listen_address() == ("", ports["jobs"])
    assert settings.worker.probe_address == f":{ports['probes']}"
    assert settings.engine.advertised_url == (
        f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    )
    assert {"mock"} == set(json.loads(environment["COMPUTE"]))
    for probe, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/livez")):
        assert container[probe]["httpGet"] == {"path": path, "port": "probes"}


def test_the_compose_environment_is_valid_and_its_grace_period_fits() -> None:
    worker = compose()

    settings = settings_of(worker["environment"])

    assert float(worker["stop_grace_period"].removesuffix("s")) > settings.worker.drain_timeout + 5
    assert settings.engine.advertised_url == "http://worker:9080"


def test_the_image_runs_the_worker_itself_and_not_as_root() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    instructions = dict(line.split(" ", 1) for line in lines if line[:1].isupper())

    assert json.loads(instructions["ENTRYPOINT"]) == ["landlord-host", "--engine", "restate"]
    assert instructions["USER"].split(":")[0].isdecimal()
    assert instructions["USER"] != "0:0"
