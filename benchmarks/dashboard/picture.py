"""The picture of the dashboard."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from PIL import Image

from benchmarks.dashboard.prometheus import Curve
from landlord_test_target.dashboard import Panel

__all__ = ["draw"]

COLUMNS = 3
SIZE = (4.6, 2.3)
"""Inches of each panel."""

COLORS = 128
"""Colors of the picture; a full palette would make it three times as large."""

MAX_LEGENDS = 8

UNITS: Mapping[str, tuple[str, float]] = {
    "s": ("seconds", 1),
    "ops": ("per second", 1),
    "bytes": ("MiB", 2**20),
    "short": ("", 1),
}


def draw(path: Path, curves: Mapping[Panel, Sequence[Curve]]) -> int:
    """Draw all panels into a PNG, and return its size in bytes."""
    rows = math.ceil(len(curves) / COLUMNS)
    size = (SIZE[0] * COLUMNS, SIZE[1] * rows)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=size, layout="constrained", squeeze=False)
    for axis, (panel, lines) in zip(axes.flat, curves.items(), strict=False):
        _draw_panel(axis, panel, lines)
    for axis in axes.flat[len(curves) :]:
        axis.remove()
    figure.supxlabel("seconds", fontsize=8)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=80)
    plt.close(figure)
    Image.open(drawn).convert("RGB").quantize(COLORS).save(path, optimize=True)
    return path.stat().st_size


def _draw_panel(axis: Any, panel: Panel, curves: Sequence[Curve]) -> None:
    unit, scale = UNITS[panel.unit]
    for curve in curves:
        if all(map(math.isnan, curve.values)):
            continue
        values = [value / scale for value in curve.values]
        axis.plot(curve.times, values, label=curve.legend, linewidth=1.2)
    axis.set_title(panel.title, fontsize=9, loc="left")
    axis.set_ylabel(unit, fontsize=7)
    axis.set_ylim(bottom=0)
    axis.tick_params(labelsize=7)
    axis.grid(alpha=0.3)
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        axis.legend(handles[:MAX_LEGENDS], labels[:MAX_LEGENDS], fontsize=6, loc="upper left")
