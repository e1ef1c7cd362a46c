"""What was measured as numbers, as a table in Markdown, and as a picture."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path

import attrs
import psutil
from matplotlib import pyplot as plt

from benchmarks.measure import Plan, Side

__all__ = ["picture", "table", "write"]


def table(plan: Plan, ours: Side, bare: Side) -> str:
    """The figures side by side."""
    lines = [f"| | {ours.name} | {bare.name} | ratio |", "|---|---|---|---|"]
    others = bare.figures(plan)
    for name, value in ours.figures(plan).items():
        lines.append(
            f"| {name} | {_shown(value)} | {_shown(others[name])} | {value / others[name]:.2f} |"
        )
    return "\n".join(lines)


def write(folder: Path, plan: Plan, ours: Side, bare: Side) -> None:
    """Write all three into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": {"processors": psutil.cpu_count(), "python": platform.python_version()},
        "plan": attrs.asdict(plan),
        "figures": {side.name: side.figures(plan) for side in (ours, bare)},
        "starts": {side.name: side.starts for side in (ours, bare)},
        "rounds": {side.name: _rounds(side) for side in (ours, bare)},
    }
    (folder / "results.json").write_text(json.dumps(document, indent=1))
    (folder / "results.md").write_text(table(plan, ours, bare) + "\n")
    picture(folder / "results.png", ours, bare)


def picture(path: Path, ours: Side, bare: Side) -> None:
    """Draw how long jobs took, what they cost, and how memory grew."""
    figure, (waiting, cost, memory) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for side in (ours, bare):
        rounds = [one for kind in side.rounds.values() for one in kind]
        done = [sum(one.jobs for one in rounds[: number + 1]) for number in range(len(rounds))]
        latencies = sorted(1000 * took for one in side.rounds["update"] for took in one.latencies)
        shares = [number / len(latencies) for number in range(1, len(latencies) + 1)]
        waiting.plot(latencies, shares, label=side.name)
        cost.plot(done, [one.cost for one in rounds], marker=".", label=side.name)
        memory.plot(done, [one.memory for one in rounds], marker=".", label=side.name)
    waiting.set(xlabel="ms from dispatch to completion", ylabel="share of the jobs")
    cost.set(xlabel="jobs done", ylabel="worker CPU per job, ms", ylim=0)
    memory.set(xlabel="jobs done", ylabel="memory, MiB", ylim=0)
    for axes in (waiting, cost, memory):
        axes.legend()
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _rounds(side: Side) -> Mapping[str, object]:
    return {
        kind: [
            {
                "jobs": one.jobs,
                "jobs_per_second": one.rate,
                "cpu_ms": one.cost,
                "p50_ms": one.within(0.5),
                "p99_ms": one.within(0.99),
                "memory_mib": one.memory,
                "tenant_reads": one.tenant_reads,
            }
            for one in rounds
        ]
        for kind, rounds in side.rounds.items()
    }


def _shown(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"  # noqa: PLR2004  # three digits are enough
