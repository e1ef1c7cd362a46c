"""Location of a tenant's service: a readable text with all that a delete needs to find it."""

import re
from urllib.parse import parse_qsl, quote, urlencode

import attrs

from landlord_engines_core.compute.contract import digest_of
from landlord_engines_core.compute.ecs.config import EcsConfig
from landlord_engines_core.errors import ComputeRefused

__all__ = ["Location", "location_of"]

_PLAIN = re.compile(r"(?!sha256-)[A-Za-z0-9_-]+")
_MAX_NAME_LENGTH = 255
_DIGEST_PREFIX = "sha256-"


@attrs.frozen(kw_only=True)
class Location:
    """A region, a cluster, the service's name there, and the role to assume for it.

    Attributes:
        service: The service's name; the tenant's key replaces a ``*`` at its end.
        role: The ARN of the role to assume, or empty. Its external id is an operator's secret and
            not part of a location.
        session: The name of the role's session, or empty.
    """

    region: str
    cluster: str
    service: str
    role: str = ""
    session: str = ""

    def __str__(self) -> str:
        fields = {key: value for key, value in attrs.asdict(self).items() if value}
        return urlencode(fields, safe=":/*", errors="surrogatepass", quote_via=quote)

    @classmethod
    def parse(cls, text: str) -> "Location":
        """Parse a location from a tenant's record.

        Raises:
            ComputeRefused: It is not a location of this engine.
        """
        try:
            return cls(**dict(parse_qsl(text, strict_parsing=True, errors="surrogatepass")))
        except (TypeError, ValueError):
            raise ComputeRefused(
                "the tenant's record contains a location that is not one of the engine ecs",
                hint="check whether another compute engine had the name ecs before",
            ) from None

    @property
    def fingerprint(self) -> str:
        """A digest of this location that fits into a tag."""
        return digest_of(str(self))[:32]

    def service_name(self, tenant: str) -> str:
        """Return the name of this tenant's service.

        A digest replaces a tenant's key that is too long for a name, or that ECS does not accept.
        """
        prefix = self.service.removesuffix("*")
        if prefix == self.service:
            return self.service
        if _PLAIN.fullmatch(tenant) and len(prefix) + len(tenant) <= _MAX_NAME_LENGTH:
            return prefix + tenant
        end = _DIGEST_PREFIX + digest_of(f"{prefix}*{tenant}")
        return prefix[: _MAX_NAME_LENGTH - len(end)] + end


def location_of(config: EcsConfig) -> Location:
    """Return the location that a configuration names.

    Raises:
        ComputeRefused: The configuration does not name a part of it.
    """
    name = config.service_name or config.service_name_prefix
    missing = [
        part
        for part, value in (
            ("a cluster (cluster_arn)", config.cluster_arn),
            ("a service (service_name or service_name_prefix)", name),
            ("a region (region, or the ARN of cluster or task definition)", config.resolved_region),
        )
        if not value
    ]
    if missing:
        raise ComputeRefused(
            f"the configuration does not name {' nor '.join(missing)}",
            hint="set it for the tenant, or for all in compute.ecs",
        )
    role = config.assume_role
    return Location(
        region=config.resolved_region,
        cluster=config.cluster_arn,
        service=config.service_name or f"{config.service_name_prefix}*",
        role=role.role_arn if role else "",
        session=role.session_name if role else "",
    )
