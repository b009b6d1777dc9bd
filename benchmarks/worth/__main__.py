"""What n SAEs buy over one, on one kind of data, written to a file of `results/consensus`.

    python -m benchmarks.worth SETTING --seeds 10 [--keep DIR] [--rivals] [--out results/consensus/SETTING.json]
"""
from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.worth import contestants, verdict
from benchmarks.worth.settings import SETTINGS, Setting
from mfr import __version__
from mfr.agreement import find_pairs
from mfr.merging import merge
from mfr.sae import SAEStack


def merged(setting: Setting, source, stack: SAEStack, seed: int) -> SAEStack:
    "What members share, tuned."
    batches = source.batches(setting.batch_size, seed, start=setting.steps)
    return merge(stack, batches, contestants.tail(setting))


def stacks_of(setting: Setting, source, seed: int, folder: Path, wanted: dict) -> dict[str, SAEStack]:
    "Everything that is trained for one seed, and what is made of it."
    at = setting, source, 10 * seed
    made = {name: contestants.kept(lambda make=make: make(*at), folder / name) for name, make in wanted.items()}
    groups = {f"consensus of {name}": made[name] for name in made if made[name].config.n > 1}
    groups["consensus"] = groups.pop("consensus of A")
    if "B" in made: groups |= {f"consensus of {n}": verdict.side_by_side([made["A"], made["B"]], n) for n in (2, 8)}
    for name, stack in groups.items():
        made[name] = contestants.kept(lambda stack=stack: merged(*at[:2], stack, at[2]), folder / name)
    return made


def _merged(name: str) -> str: return "consensus" if name == "A" else f"consensus of {name}"


def judged(setting: Setting, source, made: dict[str, SAEStack]) -> dict:
    "All that is to be said of one seed."
    rows = {name: verdict.live_rows(stack, source) for name, stack in made.items()}
    found = find_pairs(rows["A"])
    said = {name: verdict.scores(stack, source, setting.truth) for name, stack in made.items()}
    threshold = found.threshold if math.isfinite(found.threshold) else None  # nothing is beyond chance
    out = {"threshold": threshold, "scores": said, "support": {}, "shared": {}}
    for name in (name for name in ("A", "MFR") if name in rows):
        out["support"][name] = verdict.by_support(rows[name], find_pairs(rows[name]), source.features)
    others = {name: "B" if name == "A" else f"{name} B" for name in made if len(rows[name]) > 1}
    others = {name: other for name, other in others.items() if other in made}
    apart = others | {_merged(name): f"consensus of {other}" for name, other in others.items()}
    for name, other in apart.items():
        together = verdict.shared(rows[name], rows[name], found.threshold, False) if name in others else None
        there = verdict.shared(rows[name], rows[other], found.threshold, True)
        out["shared"][name] = {"together": together, "apart": there}
    if "B" in rows:
        eight = rows["A"] + rows["B"]
        out["support"]["A and B"] = verdict.by_support(eight, find_pairs(eight), source.features)
        out["found again"] = verdict.again(rows["A"], rows["B"])
    if setting.truth:
        members = [made[name] for name in ("A", "B") if name in made]
        stacks = [name for name in out["support"] if name in rows]
        out["detector"] = {name: verdict.detector(rows[name], source.features) for name in stacks}
        out["missed"] = verdict.missed(members, source)
        out["ceiling"] = {4 * i: verdict.ceiling(members[:i], source.features) for i in range(1, len(members) + 1)}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="where trained stacks stay, and are found again")
    parser.add_argument("--rivals", action="store_true", help="also the rivals of one SAE trained for longer")
    parser.add_argument("--alone", action="store_true", help="no second stack that is trained apart")
    parser.add_argument("--no-mfr", action="store_true", help="no stack with the penalty")
    early = "also members that are merged after these shares of the steps, or after some"
    parser.add_argument("--early", nargs="*", type=float, metavar="SHARE", help=early)
    parser.add_argument("--frontier", action="store_true", help="also stronger penalties")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    setting = SETTINGS[asked.setting]
    wanted = contestants.MAIN | ({} if asked.alone else contestants.APART)
    if asked.no_mfr: wanted = {name: make for name, make in wanted.items() if "MFR" not in name}
    if asked.rivals: wanted |= contestants.RIVALS
    if asked.early is not None:
        shares = asked.early or contestants.SHARES
        wanted |= {f"merged after {share:.0%}": contestants.early(share) for share in shares}
    if asked.frontier: wanted |= contestants.FRONTIER
    told = [word for word in sys.argv[1:] if word not in ("--keep", "--out", str(asked.keep), str(asked.out))]
    command = f"python -m benchmarks.worth {shlex.join(told)}"
    made = {"command": command, "mfr": __version__, "torch": torch.__version__, "runs": []}
    with tempfile.TemporaryDirectory() as tmp:
        root = (asked.keep or Path(tmp)) / asked.setting
        for seed in range(asked.seeds):
            source = setting.source(seed, root)
            stacks = stacks_of(setting, source, seed, root / str(seed), wanted)
            made["runs"].append({"seed": seed} | judged(setting, source, stacks))
            print(f"{asked.setting}, seed {seed}", flush=True)
    target = asked.out or Path("results/consensus") / f"{asked.setting}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
