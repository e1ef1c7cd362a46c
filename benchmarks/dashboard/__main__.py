"""Draws the panels of `deploy/grafana.json` from a real run: `nox -s dashboard`, five minutes.

A real Prometheus scrapes real workers during a small campaign, and evaluates the panels' expressions.
Grafana is not needed: matplotlib draws the picture. The machine is Debian, and the user is root.
"""

import argparse
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.dashboard.campaign import run_campaign
from benchmarks.dashboard.picture import draw
from benchmarks.dashboard.prometheus import RATE_INTERVAL, query_panels, run_prometheus
from landlord_engines_core.host import run_async
from landlord_test_target.dashboard import read_panels


async def main(into: Path) -> None:
    """Run the campaign and draw the picture."""
    panels = read_panels(rate_interval=RATE_INTERVAL)
    with tempfile.TemporaryDirectory(prefix="landlord-dashboard-") as name:
        async with aiohttp.ClientSession() as http, run_prometheus(Path(name), http) as prometheus:
            began = time.time()
            await run_campaign(Path(name), prometheus)
            curves = await query_panels(prometheus, panels, began, time.time())
    print(f"{into}: {draw(into, curves)} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="dashboard", description=__doc__)
    picture = Path(__file__).parents[2] / "docs" / "operating" / "dashboard.png"
    parser.add_argument("--into", type=Path, default=picture, help="the picture")
    run_async(main(parser.parse_args().into))
