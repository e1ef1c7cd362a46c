"""The panels of the dashboard in `deploy/`."""

import json
from pathlib import Path

import attrs

__all__ = ["Panel", "Target", "read_panels"]

DEPLOY = Path(__file__).parents[4] / "deploy"

EVERY_WORKER = {"$__rate_interval": "1m", "$instance": ".*"}
"""Values of Grafana's variables; Grafana's own interval is four times that of the scrapes."""


@attrs.frozen(kw_only=True)
class Target:
    """One expression of a panel, and the legend of each of its series."""

    expression: str
    legend: str


@attrs.frozen(kw_only=True)
class Panel:
    """One panel of the dashboard."""

    title: str
    description: str
    unit: str
    targets: tuple[Target, ...]


def read_panels() -> list[Panel]:
    """Read the dashboard's panels, for every worker."""
    text = (DEPLOY / "grafana.json").read_text(encoding="utf-8")
    for variable, value in EVERY_WORKER.items():
        text = text.replace(variable, value)
    return [
        Panel(
            title=panel["title"],
            description=panel["description"],
            unit=panel["fieldConfig"]["defaults"]["unit"],
            targets=tuple(
                Target(expression=target["expr"], legend=target["legendFormat"])
                for target in panel["targets"]
            ),
        )
        for panel in json.loads(text)["panels"]
        if panel["type"] != "row"
    ]
