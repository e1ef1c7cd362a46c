"""A hundred thousand jobs on ten thousand tenants that are created and deleted: `nox -s soak`.

The soak runs one restate-server, Landlord's API in this process, and one landlord-host. It exits with 1
if the worker's memory, open files, tasks or caches, or the locks' state, rise over the second half.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.soak.report import write
from benchmarks.soak.run import Plan, soak
from benchmarks.soak.samples import find_rises
from landlord_engines_core.host import run_async


async def main(plan: Plan, into: Path) -> str | None:
    """Run the soak, write a report at each sample, and return the values that rise."""
    rises: dict[str, float] = {}
    async for soak_results in soak(plan):
        print(soak_results.samples[-1], flush=True)
        write(into, soak_results)
        rises = find_rises(soak_results.samples)
    print((into / "soak.md").read_text(encoding="utf-8"))
    return f"not flat, per thousand jobs: {rises}" if rises else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    plan = Plan()
    parser.add_argument("--jobs", type=int, default=plan.jobs)
    parser.add_argument("--tenants", type=int, default=plan.tenants)
    parser.add_argument("--every", type=int, default=plan.every, help="jobs between two samples")
    results = Path(__file__).parents[1] / "results"
    parser.add_argument("--into", type=Path, default=results, help="the folder for results")
    chosen = parser.parse_args()
    sys.exit(
        run_async(
            main(Plan(jobs=chosen.jobs, tenants=chosen.tenants, every=chosen.every), chosen.into)
        )
    )
