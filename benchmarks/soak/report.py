"""The results of a soak as numbers, as a table in Markdown, and as a picture."""

import json
import platform
from pathlib import Path

import attrs
import psutil
from matplotlib import pyplot as plt

from benchmarks.soak.run import SoakResults
from benchmarks.soak.samples import LIMITS, slope

__all__ = ["write"]

MIB = 2**20

ROWS = {
    "rss": ("memory, RSS", "bytes"),
    "uss": ("memory, USS", "bytes"),
    "files": ("open file descriptors", ""),
    "tasks": ("tasks in the event loop", ""),
    "engine_cache": ("cached answers about tenants", ""),
    "defaults_cache": ("cached answers about engines", ""),
    "state_rows": ("entries of the locks' state", ""),
    "state_bytes": ("bytes of the locks' state", "bytes"),
    "server_rss": ("restate-server's memory", "bytes"),
    "server_disk": ("restate-server's disk", "bytes"),
}


def build_table(results: SoakResults) -> str:
    """Build the table of each value at the start, at half and at the end, with its rise."""
    samples = results.samples
    three = (samples[0], samples[(len(samples) - 1) // 2], samples[-1])
    jobs = " | ".join(f"after {sample.jobs:,} jobs" for sample in three)
    lines = [f"| | {jobs} | slope per thousand jobs | limit |", "|---|---|---|---|---|---|"]
    for name, (words, unit) in ROWS.items():
        values = " | ".join(_format_value(getattr(sample, name), unit) for sample in three)
        limit = f"{LIMITS[name]:,}" if name in LIMITS else "not judged"
        rise = slope(samples, name)
        lines.append(f"| {words} | {values} | {rise:,.{0 if unit else 2}f} {unit} | {limit} |")
    return "\n".join(lines)


def write(folder: Path, results: SoakResults) -> None:
    """Write numbers, table and picture into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": {"processors": psutil.cpu_count(), "python": platform.python_version()},
        "plan": attrs.asdict(results.plan),
        "operations": results.operations,
        "slopes": {name: slope(results.samples, name) for name in ROWS},
        "samples": [attrs.asdict(sample) for sample in results.samples],
    }
    (folder / "soak.json").write_text(json.dumps(document, indent=1))
    (folder / "soak.md").write_text(build_table(results) + "\n")
    draw_picture(folder / "soak.png", results)


def draw_picture(path: Path, results: SoakResults) -> None:
    """Draw all values over the number of jobs."""
    jobs = [sample.jobs for sample in results.samples]
    figure, axes = plt.subplots(2, 2, figsize=(11, 7), layout="constrained")
    panels = (
        ("MiB", MIB, ("rss", "uss")),
        ("", 1, ("files", "tasks")),
        ("", 1, ("engine_cache", "state_rows")),
        ("MiB", MIB, ("state_bytes", "server_rss", "server_disk")),
    )
    for panel, (unit, scale, names) in zip(axes.flat, panels, strict=True):
        for name in names:
            values = [getattr(sample, name) / scale for sample in results.samples]
            panel.plot(jobs, values, marker=".", label=ROWS[name][0])
        panel.set(xlabel="jobs done", ylabel=unit, ylim=0)
        panel.legend()
        panel.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _format_value(value: float, unit: str) -> str:
    return f"{value / MIB:.1f} MiB" if unit else f"{value:,}"
