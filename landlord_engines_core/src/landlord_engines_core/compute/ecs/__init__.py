"""A compute engine whose tenants are services on Amazon ECS; it needs the extra ``ecs``.

A tenant is one service: in the place's cluster, under a name that ECS holds unique there. What is
known of it, the configuration's hash too, is in its tags; this process remembers nothing.
"""

from landlord_engines_core.compute.ecs.engine import EcsCompute, create_ecs

__all__ = ["EcsCompute", "create_ecs"]
