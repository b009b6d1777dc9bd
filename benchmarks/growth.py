"""How the cost of a step grows with the number of latents, members, active latents and examples."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from benchmarks.clock import clock
from benchmarks.contestants import floors, pulling, stepper, with_mfr
from benchmarks.sizes import Size
from mfr.mutual import find_matches
from mfr.sae import SAEStack

CENTRE = Size(n=2, b=1024, d=512, f=4096, k=(32, 32))
GROWTH = {
    "f": (1024, 2048, 4096, 8192, 16_384, 32_768, 65_536),
    "n": (1, 2, 4, 8, 16),
    "k": (4, 8, 16, 32, 64, 128, 256),
    "b": (128, 256, 512, 1024, 2048, 4096, 8192),
}


def varied(name: str, value: int) -> Size:
    "The centre with one thing changed."
    size = CENTRE if name == "k" else replace(CENTRE, **{name: value})
    return replace(size, k=(value if name == "k" else 32,) * size.n)


def cost(size: Size, device: str = "cpu") -> dict[str, float]:
    "Seconds of floor, step, step with MFR (\"max\", its share of pull and search) and one search, at a random start."
    stack, xs = SAEStack(size.sae).to(device), [torch.randn(size.b, size.d, device=device)]
    contestants = floors(size, xs[0], stack.W.detach()) | {"step": stepper(stack, xs, steps=1)}
    if size.n > 1:
        contestants["pull"] = stepper(stack, xs, steps=1, mutual=pulling("max"))
        contestants["search"] = lambda: find_matches(stack.decoder.detach(), "max")
    t = clock(contestants, 3 if size.f <= 16_384 else 1, device).median()
    out = {"floor": min(t["floor, whole"], t["floor, blocks"]), "step": t["step"]}
    if size.n > 1: out |= {"MFR": with_mfr(t["step"], t["pull"], t["search"]), "search": t["search"]}
    return out


def grow(
    device: str = "cpu",
    grid: Mapping[str, Sequence[int]] | None = None,  # values of each of f, n, k, b; `GROWTH` if none
) -> pd.DataFrame:  # varied, value, and the seconds of `cost`; medians of three, a single one from 32,768 latents
    "Time a step along each axis."
    points = [(name, value) for name, values in (grid or GROWTH).items() for value in values]
    costs = [cost(varied(name, value), device) for name, value in points]
    return pd.DataFrame([{"varied": name, "value": value} | c for (name, value), c in zip(points, costs)])


def plot_growth(growth: pd.DataFrame, axs: np.ndarray) -> None:
    "Log-log: floor, step, step with MFR (\"max\", its share of pull and search) and one search, along each axis."
    styles = {"floor": "k:", "step": "C0o-", "MFR": "C1s--", "search": "C2^:"}
    for ax, (name, part) in zip(axs, growth.groupby("varied", sort=False)):
        for column, style in styles.items():
            ax.loglog(part["value"], 1e3 * part[column], style, ms=4, base=2, label=column)
        ax.set(xlabel=name, ylabel="ms" if ax is axs[0] else "")
    axs[0].legend(frameon=False)
