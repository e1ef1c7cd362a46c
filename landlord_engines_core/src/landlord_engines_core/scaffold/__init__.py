"""New distributions for authors of engines, rendered from templates."""

from landlord_engines_core.scaffold.rendering import Scaffold, check_name, render

__all__ = ["Scaffold", "check_name", "render"]
