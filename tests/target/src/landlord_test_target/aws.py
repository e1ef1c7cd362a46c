"""AWS as moto simulates it, behind a real socket in this process.

moto runs no tasks. The tests write a rollout's progress, its failure and ECS's own rollback into
moto's state, as AWS documents them.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import attrs
from moto.ec2.models import ec2_backends
from moto.ecs.models import ecs_backends
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from landlord_engines_core.compute import ComputeSpec
from landlord_engines_core.compute.ecs.engine import EcsCompute
from landlord_engines_core.compute.ecs.location import Location
from landlord_engines_core.compute.in_flight import Failpoint
from landlord_engines_core.models import config_hash, key_hashes
from landlord_engines_core.settings import Duration

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ACCOUNT = "123456789012"
REGION = "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/tenants"
"""A role; moto lets anybody assume any."""

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    # How many tasks moto says that a new service runs.
    "MOTO_ECS_SERVICE_RUNNING": "1",
}
"""The environment of the server and of its clients."""


@attrs.frozen(kw_only=True)
class Aws:
    """A running moto server."""

    endpoint: str

    def cluster(self, *, region: str = REGION, account: str = ACCOUNT) -> str:
        """Create a cluster and return its ARN."""
        response = self.ecs(region, account).create_cluster(f"cluster-{uuid4().hex[:8]}")
        return str(response.arn)

    def task_definition(
        self, *, family: str = "", region: str = REGION, account: str = ACCOUNT
    ) -> str:
        """Create a task definition, in a new or an existing family, and return its ARN."""
        containers = [{"name": "web", "image": "web:1", "memory": 128, "essential": True}]
        response = self.ecs(region, account).register_task_definition(
            family=family or f"family-{uuid4().hex[:8]}",
            container_definitions=containers,
            volumes=[],
            network_mode=None,
            tags=[],
            placement_constraints=[],
            requires_compatibilities=[],
            cpu=None,
            memory=None,
            task_role_arn=None,
            execution_role_arn=None,
            proxy_configuration=None,
            inference_accelerators=[],
            runtime_platform=None,
            ipc_mode=None,
            pid_mode=None,
            ephemeral_storage=None,
        )
        return str(response.arn)

    def config(self, **keys: object) -> dict[str, Any]:
        """Build a tenant's configuration, with a new cluster."""
        return {
            "cluster_arn": self.cluster(),
            "task_definition_arn": self.task_definition(),
            "service_name_prefix": "landlord-tenant-",
            **keys,
        }

    def subnets(self) -> list[str]:
        """List the subnets."""
        return [str(subnet.id) for subnet in ec2_backends[ACCOUNT][REGION].describe_subnets()]

    def security_groups(self) -> list[str]:
        """List the security groups."""
        return [str(group.id) for group in ec2_backends[ACCOUNT][REGION].describe_security_groups()]

    def ecs(self, region: str = REGION, account: str = ACCOUNT) -> Any:
        """Return moto's own state."""
        return ecs_backends[account][region]

    def services(self, cluster: str) -> dict[str, Any]:
        """Return the services in a cluster by name, inactive ones too."""
        region, account, name = cluster.split(":")[3], cluster.split(":")[4], cluster.split("/")[1]
        by_key = self.ecs(region, account).services
        return {
            key.partition(":")[2]: service
            for key, service in by_key.items()
            if key.partition(":")[0] == name
        }

    def service(self, config: Mapping[str, object]) -> Any:
        """Return the only service in the cluster that a configuration names."""
        (service,) = self.services(str(config["cluster_arn"])).values()
        return service

    def tags(self, service: Any) -> Mapping[str, str]:
        """Return a service's tags."""
        return {tag["key"]: tag["value"] for tag in service.tags}


def complete_rollout(service: Any) -> None:
    """Set the rollout as complete: all tasks run."""
    service.running_count = service.desired_count
    service.deployments[0]["rolloutState"] = "COMPLETED"


def keep_rollout_in_progress(service: Any) -> None:
    """Set the newest deployment as in progress."""
    service.deployments[0]["rolloutState"] = "IN_PROGRESS"


def fail_rollout(service: Any, reason: str) -> None:
    """Let the circuit breaker fail the newest deployment, without an older one to roll back to."""
    service.deployments[0]["rolloutState"] = "FAILED"
    service.deployments[0]["rolloutStateReason"] = reason


def roll_back(service: Any, former: str, reason: str) -> None:
    """Let the circuit breaker fail the newest deployment and roll back to the one before."""
    failed = {**service.deployments[0], "id": f"ecs-svc/{uuid4().int}", "status": "ACTIVE"}
    failed |= {"rolloutState": "FAILED", "rolloutStateReason": reason}
    failed |= {"taskDefinition": service.task_definition}
    service.task_definition = former
    newest = {"id": f"ecs-svc/{uuid4().int}", "rolloutState": "IN_PROGRESS"}
    service.deployments = [{**service.deployments[0], **newest}, failed]


@attrs.define
class Ecs:
    """The engine under test, and the failpoints that it reached."""

    aws: Aws
    engine: EcsCompute
    reached_points: list[str]

    async def record_calls(self, location: str) -> list[str]:
        """Record the names of all calls for a location from now on."""
        names: list[str] = []

        def called(model: Any, **_: object) -> None:
            names.append(model.name)

        async with self.engine.clients.ecs(Location.parse(location)) as client:
            client.meta.events.register("before-call.ecs", called)
        return names

    def with_failpoint_action(self, reached: Failpoint, *, rollout_timeout: float = 5.0) -> "Ecs":
        """Copy the engine with an action that runs at each failpoint."""

        def both(point: str) -> None:
            self.reached_points.append(point)
            reached(point)

        settings = attrs.evolve(self.engine.settings, rollout_timeout=Duration(rollout_timeout))
        engine = attrs.evolve(self.engine, reached=both, settings=settings)
        return attrs.evolve(self, engine=engine)

    def spec(self, config: dict[str, object], *, tenant: str = "one") -> ComputeSpec:
        return ComputeSpec(
            tenant=tenant,
            name="acme",
            location=self.engine.location(config),
            config=config,
            config_hash=config_hash(config),
            key_hashes=key_hashes(config),
        )


def _one_at_a_time(app: "WSGIApplication") -> "WSGIApplication":
    """Serve one request at a time: moto iterates over dictionaries that other threads change."""
    lock = Lock()

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        with lock:
            return list(app(environ, start_response))

    return answer


@contextmanager
def run_moto() -> Iterator[Aws]:
    """Run the server; the caller must have set `ENVIRONMENT`."""
    moto = _one_at_a_time(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, moto, threaded=True, request_handler=MotoRequestHandler)
    serving = Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield Aws(endpoint=f"http://127.0.0.1:{server.port}")
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
