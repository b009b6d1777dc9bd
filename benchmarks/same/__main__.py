"""Definitions of *same*, held against known features and against each other; written to `results/same/SETTING.json`.

    python -m benchmarks.same SETTING --seeds 1 [--apart] [--penalties .03] [--merge] [--keep DIR] [--out FILE]
"""
from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.same.settings import CHOSEN, TERMS
from benchmarks.worth.contestants import N, kept, tail, trained
from benchmarks.worth.settings import Setting
from mfr import __version__
from mfr.agreement import SAME_WORK
from mfr.consensus import consensus_of
from mfr.grades import grade_table
from mfr.merging import merge
from mfr.metrics import evaluate, recovery
from mfr.mutual import Mutual
from mfr.reappearance import brier, cross_validated, fit_found_again, reliability
from mfr.sae import SAEStack
from mfr.similarity import nearest, unit
from mfr.stability import described, found_in, leave_one_out, link_to, reappearance
from mfr.substitution import grade_saes

BINS = (0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.001)
ROWS = 20_000  # held-out rows to judge by


def held(source) -> list[torch.Tensor]:
    "Rows to judge by."
    batches, rows = [], 0
    for x in source.held_out(1000):
        batches.append(x)
        rows += len(x)
        if rows >= ROWS: break
    return batches


class Judged:
    "The members of stacks on held-out rows: pairs, what they do for each other, and what is the same."

    def __init__(self, stacks: list[SAEStack], batches: list[torch.Tensor]):
        self.rows, self.found, self.observed, self.kept = grade_saes(stacks, batches)
        self.cosine = self.found.by_cosine()

    def pairs(self, features=None) -> pd.DataFrame:
        "A row a pair: cosine, correlation, overlap, work kept; and whether it is of one true feature."
        lines = []
        truth = None if features is None else [nearest(own, unit(features)) for own in self.rows]
        for two, pairs in self.cosine.pairs.items():
            did = self.kept[two]
            line = {"cosine": pairs.cosines, "correlation": did.correlation, "overlap": did.overlap,
                    "work kept": did.least, "one way": did.kept.mean(1), "direction": did.direction.min(1).values}
            if truth:
                (near, at), (near_too, at_too) = (own for own in (truth[two[0]], truth[two[1]]))
                both = (near[pairs.rows] > 0.9) & (near_too[pairs.cols] > 0.9)
                line |= {"recovered": both, "one": both & (at[pairs.rows] == at_too[pairs.cols])}
            lines.append(pd.DataFrame({name: values.numpy() for name, values in line.items()}))
        return pd.concat(lines, ignore_index=True)


def by_cosine(pairs: pd.DataFrame) -> list[dict]:
    "What a cosine means: medians, and the share of pairs that are the same, by bins of the cosine."
    names = pd.cut(pairs["cosine"], BINS, right=False)
    lines = []
    for name, part in pairs.groupby(names, observed=True):
        line = {"from": float(name.left), "pairs": len(part), "same": float((part["work kept"] >= SAME_WORK).mean())}
        lines.append(line | {q: float(part[q].median()) for q in part.select_dtypes("number")})
    return lines


def definitions(pairs: pd.DataFrame) -> list[dict]:
    "For each definition: pairs, those of one true feature, true pairs in all, agreement with work kept."
    rules = {f"cosine {c}": pairs["cosine"] >= c for c in (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9)}
    rules |= {f"work kept {w}": pairs["work kept"] >= w for w in (0.3, 0.5, 0.7)}
    rules |= {"correlation 0.8": pairs["correlation"] >= 0.8, "overlap 0.5": pairs["overlap"] >= 0.5}
    rules |= {"direction 0.5": pairs["direction"] >= 0.5, "mean of both ways 0.5": pairs["one way"] >= 0.5}
    work, lines = pairs["work kept"] >= SAME_WORK, []
    for name, mine in rules.items():
        line = {"definition": name, "pairs": int(mine.sum()), "also by work kept": int((mine & work).sum())}
        if "one" in pairs:
            both = pairs["recovered"] & mine
            line |= {"both recovered": int(both.sum()), "of one feature": int((pairs["one"] & mine).sum()),
                     "true pairs": int(pairs["one"].sum())}
        lines.append(line)
    return lines


def again(judged: Judged, n: int, sizes: tuple[int, int]) -> dict:
    "Leave one out in the first stack, and what the members of the second stack have."
    first = range(n)
    pairs = {two: p for two, p in judged.found.pairs.items() if max(two) < n}
    inside, rows = judged.found._replace(pairs=pairs), judged.rows[:n]
    works, density = judged.observed.works[:n], [work.density for work in judged.observed.works[:n]]
    left_out = leave_one_out(rows, found=inside, density=density, works=works)
    crossed, model = cross_validated(left_out), fit_found_again(left_out)
    seen = []
    for i in first:  # features of the others, looked for in the second stack
        others = inside.without([i])
        consensus = consensus_of([own * (j != i) for j, own in enumerate(rows)], others)
        frame = pd.DataFrame(described(consensus, others, density, works) | {"others": n - 1})
        frame["probability"] = model(frame)
        for new in range(n, sum(sizes)):
            links = [None if j == i else link_to(judged.found, j, new) for j in first]
            seen.append(frame.assign(found=found_in(consensus, links).numpy()))
    apart = pd.concat(seen, ignore_index=True)
    shares = left_out.groupby("support")["found"].mean()
    apart["by support"] = apart["support"].map(shares)
    out = {"left out": reappearance(left_out).to_dict("records"),
           "seen apart": apart.groupby("support")["found"].agg(["size", "mean"]).reset_index().to_dict("records")}
    for name, frame in (("cross-validated", crossed), ("apart", apart)):
        out[f"brier, {name}"] = brier(frame["probability"], frame["found"])
        out[f"brier by support, {name}"] = brier(frame["by support"], frame["found"])
        out[f"deciles, {name}"] = reliability(frame).to_dict("records")
    return out


def by_support(judged: Judged, features) -> list[dict]:
    "Clusters of each support in the first stack, and how many are true."
    consensus = consensus_of(judged.rows[:N], judged.found._replace(
        pairs={two: p for two, p in judged.found.pairs.items() if max(two) < N}))
    true = nearest(consensus.directions, features)[0] > 0.9
    return [{"support": s, "clusters": int((consensus.support == s).sum()),
             "true": int(true[consensus.support == s].sum())} for s in range(N, 0, -1)]


def merges(setting: Setting, source, stack: SAEStack, seed: int, batches: list) -> list[dict]:
    "The SAE that members make, by where latents are joined: at chance, at cosines, by work kept."
    judged, lines = Judged([stack], batches), []
    rules = {"chance": judged.cosine._replace(threshold=judged.cosine.beyond), "work kept": judged.found}
    rules |= {f"cosine {c}": judged.cosine._replace(threshold=max(c, judged.cosine.beyond)) for c in (0.7, 0.8, 0.9)}
    for name, found in rules.items():
        stream = source.batches(setting.batch_size, seed, start=setting.steps)
        one = merge(stack, stream, tail(setting), consensus_of(judged.rows, found))
        line = {"joined": name, "FVU": float(evaluate(one, batches).fvu[0])}
        if setting.truth: line["recovered"] = recovery(one.decoder, source.features)["recovered"][0]
        lines.append(line)
    return lines


def shared(judged: Judged, n: int) -> dict[str, float]:
    "Share of latents that are the same, and of the work that is done again: in the same stack, and in another one."
    table = grade_table(judged.found, judged.observed.alive, None, judged.observed.works, judged.kept)
    side = [int(name[4:]) < n for name in table["SAE"]], [int(name[4:]) < n for name in table["in"]]
    table["stacks"] = ["together" if a == b else "apart" for a, b in zip(*side)]
    means = table.groupby("stacks")[["same, share", "same, by work", "work done again"]].mean()
    out = {f"{quantity}, {stacks}": float(v) for quantity, column in means.items() for stacks, v in column.items()}
    return out | {"FVU": float(np.mean([work.fvu for work in judged.observed.works]))}


def with_penalties(
    setting: Setting, source, seed: int, folder: Path, weights: list[float], batches: list,
) -> list[dict]:
    "What a penalty does to the agreement within a stack, and with a stack trained apart."
    lines = []
    for weight in weights:
        def make(side, weight=weight): return trained(setting, source, 10 * seed + side, n=N, mutual=Mutual(weight))
        stacks = [kept(partial(make, side), folder / str(seed) / f"{side}-{weight}") for side in range(2)]
        lines.append({"penalty": weight} | shared(Judged(stacks, batches), N))
    return lines


def one_seed(name: str, seed: int, folder: Path, apart: bool, merging: bool, weights: list[float]) -> dict:
    "Everything that is measured of one seed."
    setting, how = CHOSEN[name], {"terms": TERMS[name]} if name in TERMS else {}
    source = setting.source(seed, folder)
    n = N if apart or merging else 2
    def make(side): return trained(setting, source, 10 * seed + side, n=n, **how)
    stacks = [kept(partial(make, side), folder / str(seed) / f"{side}") for side in range(1 + apart)]
    batches = held(source)
    judged = Judged(stacks, batches)
    pairs = judged.pairs(source.features if setting.truth else None)
    numbers = grade_table(judged.found, judged.observed.alive, None, judged.observed.works, judged.kept)
    strangers = numbers[[(int(a[4:]) < n) != (int(b[4:]) < n) for a, b in zip(numbers["SAE"], numbers["in"])]]
    means = (strangers if apart else numbers).select_dtypes("number").mean()
    same = pairs[pairs["work kept"] >= SAME_WORK]
    out = {"seed": seed, "chance": judged.found.beyond}
    out |= {"by cosine": by_cosine(pairs), "definitions": definitions(pairs)}
    out |= {"FVU": [work.fvu for work in judged.observed.works], "L0": judged.observed.l0, "grades": means.to_dict(),
           "same": {q: float(same[q].median()) for q in ("cosine", "correlation", "work kept")} if len(same) else {}}
    if apart: out["found again"] = again(judged, n, (n, n))
    if setting.truth and n == N: out["support"] = by_support(judged, source.features)
    if apart: out["shared"] = [{"penalty": 0.0} | shared(judged, n)]
    if weights: out["shared"] += with_penalties(setting, source, seed, folder, weights, batches)
    if merging: out["merged"] = merges(setting, source, stacks[0], 10 * seed, batches)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setting", choices=CHOSEN)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--apart", action="store_true", help="also a second stack of four, trained apart")
    parser.add_argument("--merge", action="store_true", help="also the SAE that four members make")
    parser.add_argument("--penalties", nargs="*", type=float, default=[], help="also stacks with these penalties")
    parser.add_argument("--keep", type=Path, help="where trained stacks stay, and are found again")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    used = [word for word in sys.argv[1:] if word not in ("--keep", "--out", str(asked.keep), str(asked.out))]
    made = {"command": f"python -m benchmarks.same {shlex.join(used)}", "mfr": __version__, "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as tmp:
        folder = (asked.keep or Path(tmp)) / asked.setting
        made["runs"] = []
        for seed in range(asked.seeds):
            what = asked.apart or bool(asked.penalties), asked.merge, asked.penalties
            made["runs"].append(one_seed(asked.setting, seed, folder, *what))
            print(f"{asked.setting}, seed {seed}", flush=True)
    name = asked.setting.replace(", ", "_").replace(" ", "_")
    target = asked.out or Path("results/same") / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(made, indent=1, default=float) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
