"""A real Docker daemon, its test images, and its resources of a tenant."""

import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import attrs

from landlord_engines_core.compute import ComputeSpec
from landlord_engines_core.models import config_hash, key_hashes

_DAEMON = Path(__file__).parents[3] / "e2e" / "docker" / "daemon.sh"

WEB = "landlord-test/web"
"""A web server that serves its version on port 8080; there are versions 1 to 3."""

SETTINGS = {"stable_window": 0.2, "stop_timeout": 0, "health_timeout": 60}
"""Settings with short times, so that tests are quick."""


def start_daemon() -> None:
    """Start the daemon unless it runs; it is left running for the next tests."""
    subprocess.run(["sh", str(_DAEMON)], check=True, timeout=300)


def run_command(*command: str, data: bytes | None = None) -> str:
    """Run a command to its end and return its output."""
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def docker(*arguments: str) -> str:
    """Run Docker's own client and return its output."""
    return run_command("docker", *arguments)


def _archive(files: dict[str, str]) -> bytes:
    """Build a root file system with busybox and these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(str(Path("/bin/busybox").resolve()), "bin/busybox")
        for name in ("sh", "httpd", "sleep", "nc", "cat", "id"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for path, text in {"etc/passwd": "root:x:0:0::/:/bin/sh\n", **files}.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def make_image(name: str, *changes: str, files: dict[str, str] | None = None) -> None:
    """Create an image unless it exists."""
    if name in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines():
        return
    options = [part for change in changes for part in ("--change", change)]
    run_command("docker", "import", *options, "-", name, data=_archive(files or {}))


def make_images() -> None:
    """Create the images of the tests."""
    serve = 'CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]'
    for version in "123":
        make_image(f"{WEB}:{version}", serve, files={"www/index.html": version})
    for name, command in (("well", "true"), ("sick", "false")):
        check = f'HEALTHCHECK --interval=100ms --retries=1 CMD ["busybox", "{command}"]'
        make_image(f"landlord-test/{name}:1", serve, check, files={"www/index.html": name})
    make_image("landlord-test/keeper:1", serve, "VOLUME /data", files={"www/index.html": "keeper"})


def spec(tenant: str, **config: object) -> ComputeSpec:
    """Build a tenant's spec, with version 1 of the web server as the default image."""
    config = {"image": f"{WEB}:1", **config}
    return ComputeSpec(
        tenant=tenant,
        name=f"name of {tenant}",
        location="",
        config=config,
        config_hash=config_hash(config),
        key_hashes=key_hashes(config),
    )


@attrs.frozen
class TenantContainers:
    """The daemon's resources of one tenant, as Docker's own client sees them."""

    tenant: str

    @property
    def ids(self) -> list[str]:
        # Landlord's own worker has no digest; a command's argument cannot hold every id.
        is_plain = self.tenant.isascii() and self.tenant.isprintable()
        digest = sha256(self.tenant.encode("utf-8", "surrogatepass")).hexdigest()
        label = f"tenant_id={self.tenant}" if is_plain else f"tenant_digest={digest}"
        return docker("ps", "-aq", "--no-trunc", "--filter", f"label=landlord.{label}").splitlines()

    @property
    def only_container(self) -> dict[str, Any]:
        """Return the tenant's only container."""
        (container,) = self.ids
        return inspect_container(container)

    @property
    def versions(self) -> list[int]:
        """Return the versions of the web server in the tenant's containers."""
        images = [inspect_container(container)["Config"]["Image"] for container in self.ids]
        return [int(image.rpartition(":")[2]) for image in images]

    def create_as_landlord(self, *more: str) -> str:
        """Create a container with the name and labels that Landlord's own worker gives it."""
        labels = {"owner": "landlord", "tenant_id": self.tenant, "provider": "docker"}
        options = [part for key in labels for part in ("--label", f"landlord.{key}={labels[key]}")]
        name = f"landlord-tenant-{self.tenant}"
        options += ["--restart=unless-stopped", *more]
        return docker("run", "-d", "--name", name, *options, f"{WEB}:1")

    def remove_all(self) -> None:
        for container in self.ids:
            docker("rm", "-f", "-v", container)


def inspect_container(container: str) -> dict[str, Any]:
    """Inspect one container."""
    (inspected,) = json.loads(docker("container", "inspect", container))
    document: dict[str, Any] = inspected
    return document


def address(container: Mapping[str, Any]) -> str:
    """Return a container's address."""
    (network,) = container["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])
