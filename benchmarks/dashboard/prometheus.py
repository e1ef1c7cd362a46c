"""A real Prometheus from Debian's package, which scrapes the campaign's workers each second."""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import attrs

from benchmarks.processes import run_process, wait_content
from landlord_test_target.dashboard import Panel
from landlord_test_target.waiting import free_port

__all__ = ["RATE_INTERVAL", "Curve", "Prometheus", "query_panels", "run_prometheus"]

ROOT = Path(__file__).parents[2]
CACHE = Path.home() / ".cache" / "landlord-engines" / "prometheus"

RATE_INTERVAL = "20s"
"""Window of a rate; many times the interval of the scrapes, so that single jobs make no spikes."""

SCRAPE = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}


@attrs.frozen(kw_only=True)
class Curve:
    """One series of a panel."""

    legend: str
    times: Sequence[float]
    values: Sequence[float]


@attrs.frozen(kw_only=True)
class Prometheus:
    """A running Prometheus.

    Attributes:
        url: Its address.
        targets: The file that names the workers; Prometheus reads it again when it changes.
        http: The HTTP session.
    """

    url: str
    targets: Path
    http: aiohttp.ClientSession

    def scrape(self, **workers: str) -> None:
        """Scrape these workers, given by their names and the addresses of their probes."""
        groups = [
            {"targets": [address], "labels": {"instance": name}}
            for name, address in workers.items()
        ]
        self.targets.write_text(json.dumps(groups), encoding="utf-8")

    async def query_range(self, expression: str, began: float, ended: float) -> list[Any]:
        """Evaluate an expression at each second of a time."""
        url = f"{self.url}/api/v1/query_range"
        query = {"query": expression, "start": str(began), "end": str(ended), "step": "1"}
        async with self.http.get(url, params=query, raise_for_status=True) as response:
            series: list[Any] = (await response.json())["data"]["result"]
            return series


@asynccontextmanager
async def run_prometheus(folder: Path, http: aiohttp.ClientSession) -> AsyncIterator[Prometheus]:
    """Run Prometheus with the rules in `deploy/`, as long as the context is entered."""
    script = ROOT / "tests" / "monitoring" / "prometheus.sh"
    await asyncio.to_thread(subprocess.run, ["sh", str(script), str(CACHE)], check=True)
    targets = folder / "workers.json"
    settings = {
        "global": SCRAPE,
        "rule_files": [str(ROOT / "deploy" / "alerts.yaml")],
        "scrape_configs": [
            {
                "job_name": "landlord-worker",
                "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}],
            }
        ],
    }
    config, port = folder / "prometheus.yml", free_port()
    # JSON is YAML too.
    config.write_text(json.dumps(settings), encoding="utf-8")
    command = (
        str(CACHE / "usr" / "bin" / "prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with run_process(command, folder / "prometheus.log"):
        url = f"http://127.0.0.1:{port}"
        await wait_content(http, f"{url}/-/ready", "Ready")
        yield Prometheus(url=url, targets=targets, http=http)


async def query_panels(
    prometheus: Prometheus, panels: Sequence[Panel], began: float, ended: float
) -> Mapping[Panel, Sequence[Curve]]:
    """Evaluate all expressions of all panels."""
    curves: dict[Panel, list[Curve]] = {}
    for panel in panels:
        for target in panel.targets:
            results = await prometheus.query_range(target.expression, began, ended)
            curves.setdefault(panel, []).extend(
                _read_curve(target.legend, series, began) for series in results
            )
    return curves


def _read_curve(legend: str, series: Mapping[str, Any], began: float) -> Curve:
    labels = series["metric"]
    samples = [(float(at) - began, float(value)) for at, value in series["values"]]
    return Curve(
        legend=re.sub(r"\{\{(\w+)\}\}", lambda label: labels.get(label[1], ""), legend),
        times=[at for at, _ in samples],
        values=[value for _, value in samples],
    )
