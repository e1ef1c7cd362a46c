"""The results of a benchmark as numbers, as a table in Markdown, and as a picture."""

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import psutil
from matplotlib import pyplot as plt

from benchmarks.measure import Plan, Side

__all__ = ["build_table", "draw_picture", "write"]


def build_table(plan: Plan, sides: Sequence[Side]) -> str:
    """Build the table of all figures, with the first side's as multiples of the others'."""
    ours, *others = sides
    names = [side.name for side in sides]
    ratios = [f"ratio to {side.name}" for side in others]
    lines = [
        f"| | {' | '.join([*names, *ratios])} |",
        "|---" * (1 + len(names) + len(ratios)) + "|",
    ]
    figures_of_others = [side.figures(plan) for side in others]
    for name, value in ours.figures(plan).items():
        others_values = [figures[name] for figures in figures_of_others]
        cells = [_format_number(number) for number in (value, *others_values)]
        cells += [f"{value / other:.2f}" for other in others_values]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write(folder: Path, plan: Plan, sides: Sequence[Side]) -> None:
    """Write numbers, table and picture into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": {"processors": psutil.cpu_count(), "python": platform.python_version()},
        "plan": attrs.asdict(plan),
        "figures": {side.name: side.figures(plan) for side in sides},
        "starts": {side.name: side.starts for side in sides},
        "rounds": {side.name: _rounds(side) for side in sides},
    }
    (folder / "results.json").write_text(json.dumps(document, indent=1))
    (folder / "results.md").write_text(build_table(plan, sides) + "\n")
    draw_picture(folder / "results.png", sides)


def draw_picture(path: Path, sides: Sequence[Side]) -> None:
    """Draw the latency and the cost of jobs, and the growth of memory."""
    figure, (latency, cost, memory) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for side in sides:
        rounds = [measured for kind in side.rounds.values() for measured in kind]
        done = [
            sum(measured.jobs for measured in rounds[: number + 1]) for number in range(len(rounds))
        ]
        latencies = sorted(
            1000 * seconds for measured in side.rounds["update"] for seconds in measured.latencies
        )
        shares = [number / len(latencies) for number in range(1, len(latencies) + 1)]
        latency.plot(latencies, shares, label=side.name)
        cost.plot(
            done, [measured.worker_cpu_ms for measured in rounds], marker=".", label=side.name
        )
        memory.plot(done, [measured.memory for measured in rounds], marker=".", label=side.name)
    latency.set(xlabel="ms from dispatch to completion", ylabel="share of the jobs")
    cost.set(xlabel="jobs done", ylabel="worker CPU per job, ms", ylim=0)
    memory.set(xlabel="jobs done", ylabel="memory, MiB", ylim=0)
    for axes in (latency, cost, memory):
        axes.legend()
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _rounds(side: Side) -> Mapping[str, object]:
    return {
        kind: [
            {
                "jobs": measured.jobs,
                "jobs_per_second": measured.jobs_per_second,
                "cpu_ms": measured.worker_cpu_ms,
                "server_cpu_ms": measured.server_cpu_ms,
                "p50_ms": measured.latency_ms(0.5),
                "p99_ms": measured.latency_ms(0.99),
                "memory_mib": measured.memory,
                "tenant_reads": measured.tenant_reads,
            }
            for measured in rounds
        ]
        for kind, rounds in side.rounds.items()
    }


def _format_number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"  # noqa: PLR2004  # three digits are enough
