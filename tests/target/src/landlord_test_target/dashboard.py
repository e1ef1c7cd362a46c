"""The panels of the dashboard in `deploy/`."""

import json
from pathlib import Path

import attrs

__all__ = ["Panel", "Target", "read_panels"]

DEPLOY = Path(__file__).parents[4] / "deploy"


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


def read_panels(rate_interval: str = "1m") -> list[Panel]:
    """Read the dashboard's panels, for every worker and with this window of rates."""
    text = (DEPLOY / "grafana.json").read_text(encoding="utf-8")
    text = text.replace("$__rate_interval", rate_interval).replace("$instance", ".*")
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
