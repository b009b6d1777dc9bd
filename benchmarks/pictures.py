"""The figures of the report."""
from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.growth import plot_growth

SHOWN = (
    "floor", "step", "step, bf16", "MFR, one-to-one", "MFR, max", "step, AuxK", "step, mutual", "step, feature",
    "step, gradient", "sparsify", "SAELens", "SAELens, BatchTopK", "published",
)  # fmt: skip


def colour(name: str) -> str:
    "Grey for the floor, blue for us, orange for others."
    if name == "floor": return "0.6"
    return "C0" if name.startswith(("step", "MFR")) else "C1"


def figure_times(times: Mapping[str, pd.DataFrame]) -> Figure:
    "Milliseconds a step of everybody, for each size."
    fig, axs = plt.subplots(1, len(times), figsize=(4.2 * len(times), 3.4), layout="constrained", squeeze=False)
    for ax, (size, frame) in zip(axs[0], times.items()):
        names = [c for c in reversed(SHOWN) if c in frame]
        ax.barh(names, [1e3 * frame[c].median() for c in names], color=[colour(c) for c in names])
        ax.set(xscale="log", xlabel="ms a step", title=size)
    return fig


def figure_growth(growth: pd.DataFrame) -> Figure:
    "Milliseconds along each axis."
    columns = growth["varied"].nunique()
    fig, axs = plt.subplots(1, columns, figsize=(2.75 * columns, 2.8), layout="constrained", squeeze=False)
    plot_growth(growth, axs[0])
    return fig
