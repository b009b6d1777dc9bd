"""What is measured, in which order, and how it is written down."""
from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
import torch

from benchmarks.clock import Contestants, clock
from benchmarks.contestants import ADVISED, SEARCH_EVERY, choices, floors, ours, parts, per_step
from benchmarks.goals import GOALS, ratios
from benchmarks.growth import CENTRE, grow
from benchmarks.other_libraries import other_libraries
from benchmarks.pictures import figure_growth, figure_times
from benchmarks.published import published
from benchmarks.sizes import SIZES, Size, batches, warm_stack
from benchmarks.whole_run import whole_runs
from mfr.checks import at_least, one_of
from mfr.report import Report
from mfr.runs import RunFolder, undo_if_empty
from mfr.sae import SAEStack
from mfr.study import RunOptions
from mfr.train import keep_memory

COMPARED = {goal.size for goal in GOALS if goal.over in ("SAELens", "sparsify", "published")}
RUN_WHOLE = {goal.size for goal in GOALS if goal.over.startswith("whole run")}
SHARES = f"""Formed within each round: median, smallest and largest.

A step with MFR has its shares of what it does not do every time: a pull at one of {ADVISED.every} steps, and, late in
a run, a search at one of {SEARCH_EVERY}, one-to-one among the {ADVISED.nearest} nearest. A whole run has its own."""


@dataclass(frozen=True)
class BenchStudy:
    "What is measured."

    sizes: tuple[str, ...] = tuple(SIZES)  # of gpt2, synthetic, wide
    rounds: int = 11  # how often everything is timed; a third as often at the wide size
    warm: int = 200  # training steps before; a tenth of it at the wide size
    compare: bool = True  # with other libraries and the published algorithm, at the sizes with a goal for it
    whole: int = 2  # how often a run of 1,000 steps is timed, with and without MFR, at the sizes with a goal for it
    growth: bool = True  # how cost grows with f, n, k and b

    def __post_init__(self):
        for size in self.sizes: one_of(SIZES, sizes=size)
        at_least(1, rounds=self.rounds)
        at_least(0, warm=self.warm, whole=self.whole)


def contestants(size: Size, stack: SAEStack, xs: list[torch.Tensor], device: str, compare: bool) -> Contestants:
    "Everybody who is timed in every round."
    source = batches(size, device)
    out = floors(size, xs[0], stack.W.detach()) | parts(stack, xs) | ours(stack, xs) | choices(stack, xs)
    out["batch"] = lambda: next(source)
    return out | other_libraries(size, xs) if compare else out


def measure(
    name: str,  # of the size
    study: BenchStudy,
    device: str = "cpu",
) -> pd.DataFrame:  # a row a round, a column a contestant, seconds
    "Time everybody at one size."
    size, compare = SIZES[name], study.compare and name in COMPARED
    few = 3 if size.is_wide else 1
    stack = warm_stack(size, study.warm // 10 if size.is_wide else study.warm, device)
    xs = list(islice(batches(size, device), 2))
    times = clock(contestants(size, stack, xs, device, compare), -(-study.rounds // few), device)
    if compare:  # slow: two rounds of its own stand beside all rounds of the others
        two = {"published": published(SAEStack(size.sae).to(device), xs), "published, warm": published(stack, xs)}
        for column, t in clock(two, 2, device).items(): times[column] = np.resize(t, len(times))
    if study.whole and name in RUN_WHOLE: times = pd.concat([times, whole_runs(size, study.whole, device)], axis=1)
    return per_step(times)


def metrics(table: pd.DataFrame, times: Mapping[str, pd.DataFrame], growth: pd.DataFrame | None) -> dict[str, float]:
    "Every number under a key of its own."
    out = {}
    for row in table.itertuples():
        out |= {f"{row.size}/{row.ratio}/{q}": float(getattr(row, q)) for q in ("median", "low", "high")}
    for name, frame in times.items():
        out |= {f"{name}/ms/{c}": float(1e3 * frame[c].median()) for c in frame}
        out[f"{name}/GFLOP/s of the floor"] = SIZES[name].flop / 1e9 / float(frame["floor"].median())
    for row in [] if growth is None else growth.to_dict("records"):
        measured = [c for c in ("floor", "step", "MFR", "search") if pd.notna(row.get(c))]
        out |= {f"growth/{row['varied']}/{row['value']}/{c}": 1e3 * row[c] for c in measured}
    return out


def conclusion(table: pd.DataFrame) -> str:
    "The first sentence of the report."
    missed = [f"{r.ratio} at {r.size} size ({r.median:.2f})" for r in table.itertuples() if r.met == "no"]
    if not missed: return f"All {len(table)} goals are met."
    return f"{len(table) - len(missed)} of {len(table)} goals are met; missed: {', '.join(missed)}."


def report_of(
    study: BenchStudy,
    device: str,
    table: pd.DataFrame,  # from `ratios`
    times: Mapping[str, pd.DataFrame],  # from `measure`, by size
    growth: pd.DataFrame | None,  # from `grow`
) -> Report:
    "Ratios, times, and the figures."
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, {device}"
    lead = f"{study.rounds} rounds in alternating order on {machine}, PyTorch {torch.__version__}."
    report = Report("Benchmark", conclusion(table), lead, table=table)
    report.add("Ratios", table.round(3), SHARES)
    ms = pd.DataFrame({name: 1e3 * frame.median() for name, frame in times.items()})
    report.add("Times", ms.round(2).rename_axis("ms a step").reset_index(), "Medians.")
    others = "Milliseconds a training step of all members. Orange: other libraries and the published algorithm."
    report.add("Side by side", figure_times(times), others, "times")
    at = f"n = {CENTRE.n}, b = {CENTRE.b}, d = {CENTRE.d}, f = {CENTRE.f}, k = {CENTRE.k[0]}"
    caption = f"Milliseconds a step as one number grows, the others at {at}."
    if growth is not None: report.add("Growth", figure_growth(growth), caption, "growth")
    return report


def run(
    study: BenchStudy,  # what to measure
    options: RunOptions,  # where, and on which device
) -> pd.DataFrame:  # the ratios
    "Measure everything and write it down."
    folder = RunFolder(options.out, study, options.overwrite, options.resume)
    keep_memory()
    with undo_if_empty(folder):
        times = {name: measure(name, study, options.device) for name in study.sizes}
        growth = grow(options.device) if study.growth else None
        table = ratios(times)
        history = pd.concat([frame.assign(size=name) for name, frame in times.items()])
        folder.write("metrics.json", json.dumps(metrics(table, times, growth), indent=2) + "\n")
        folder.write("history.csv", history.to_csv(index_label="round"))
        report_of(study, options.device, table, times, growth).write(folder)
    return table.round(3)
