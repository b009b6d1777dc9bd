"""What we set out to reach, as ratios; a goal is met when the median is."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Goal:
    "A ratio of two columns at one size."

    size: str
    what: str
    over: str  # column: numerator
    under: str  # column: denominator
    must: float  # to be reached
    aim: float  # to be hoped for
    least: bool = False  # at least, rather than at most

    def met(self, ratio: float, limit: float) -> bool:
        "Is a ratio on the right side of a limit?"
        return ratio >= limit if self.least else ratio <= limit


def mfr_goals(matching: str) -> list[Goal]:
    "What MFR may add to a step."
    column, what = f"MFR, {matching}", f"step with MFR ({matching}) / step without"
    return [Goal("gpt2", what, column, "step", 1.10, 1.03), Goal("wide", what, column, "step", 1.15, 1.05)]


def other_goals(matching: str) -> list[Goal]:
    "How much longer the others take than a step with MFR."
    column = f"MFR, {matching}"
    return [
        Goal("gpt2", f"SAELens, in turn / step with MFR ({matching})", "SAELens", column, 3, 7, True),
        Goal("gpt2", f"sparsify, in turn / step with MFR ({matching})", "sparsify", column, 1.3, 2.5, True),
        Goal("gpt2", f"the published algorithm / step with MFR ({matching})", "published", column, 120, 200, True),
    ]


def choice_goals() -> list[Goal]:
    "What the other rules and AuxK may cost, and SAELens's BatchTopK beside Mutual Choice."
    of_topk = {"mutual": (1.5, 1.3), "feature": (1.5, 1.1), "gradient": (2, 1.5), "AuxK": (1.15, 1.05)}
    goals = [Goal("gpt2", f"step, {name} / TopK", f"step, {name}", "step", *to) for name, to in of_topk.items()]
    theirs = "SAELens's BatchTopK, in turn / step, mutual"
    return [*goals, Goal("gpt2", theirs, "SAELens, BatchTopK", "step, mutual", 3, 7, True)]


GOALS = (
    Goal("gpt2", "step without penalty / floor", "step", "floor", 0.85, 0.75),
    Goal("synthetic", "step without penalty / floor", "step", "floor", 1.8, 1.2),
    Goal("gpt2", "run of 1,000 steps with MFR / without", "whole run, MFR", "whole run", 1.10, 1.05),
    *mfr_goals("one-to-one"),
    *mfr_goals("max"),
    *other_goals("one-to-one"),
    *other_goals("max"),
    *choice_goals(),
    Goal("synthetic", "making a batch / a step", "batch", "step", 0.2, 0.1),
)


def ratio(goal: Goal, times: pd.DataFrame) -> dict[str, object]:
    "A row of the table: median, smallest and largest round of a ratio, whether it is met."
    r, sign = (times[goal.over] / times[goal.under]).dropna(), "≥" if goal.least else "≤"
    row = {"size": goal.size, "ratio": goal.what, "median": r.median(), "low": r.min(), "high": r.max()}
    for name, met, limit in (("must", "met", goal.must), ("aim", "aim met", goal.aim)):
        row[name] = f"{sign} {limit:g}"
        row[met] = "yes" if goal.met(r.median(), limit) else "no"
    return row


def ratios(
    times: Mapping[str, pd.DataFrame],  # by size: a row a round, a column a contestant
) -> pd.DataFrame:
    "Every goal whose columns were measured."
    measured = [g for g in GOALS if g.size in times and {g.over, g.under} <= set(times[g.size])]
    return pd.DataFrame([ratio(g, times[g.size]) for g in measured])
