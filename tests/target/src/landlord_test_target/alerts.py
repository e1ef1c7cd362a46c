"""The alerting rules in `deploy/`."""

from pathlib import Path

import attrs
import yaml

__all__ = ["RULES", "Alert", "read_alerts"]

RULES = Path(__file__).parents[4] / "deploy" / "alerts.yaml"


@attrs.frozen(kw_only=True)
class Alert:
    """One alerting rule."""

    name: str
    expression: str
    severity: str
    annotations: dict[str, str]


def read_alerts() -> list[Alert]:
    """Read the alerting rules."""
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return [
        Alert(
            name=rule["alert"],
            expression=rule["expr"],
            severity=rule["labels"]["severity"],
            annotations=rule["annotations"],
        )
        for group in document["groups"]
        for rule in group["rules"]
    ]
