"""Grading two SAEs by substitution over encoding with both, in one process: `python -m benchmarks.same.cost`."""
from __future__ import annotations

import json
import resource
import time
from pathlib import Path

import torch

from mfr import __version__
from mfr.agreement import find_pairs
from mfr.sae import SAEConfig, SAEStack
from mfr.substitution import observe_saes, substitute

F, D, K, ROWS, BATCH, ROUNDS = 16_384, 768, 32, 100_000, 1000, 3


def timed(run) -> float:
    "Seconds of one call."
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def main() -> None:
    gen = torch.Generator().manual_seed(0)
    stacks = []
    for i in range(2):  # dictionaries that share half of their rows
        W = torch.randn(F, D, generator=torch.Generator().manual_seed(i))
        W[: F // 2] = torch.randn(F // 2, D, generator=torch.Generator().manual_seed(9))
        stacks.append(SAEStack(SAEConfig(D, F, K), seed=i, W=W[None] / D**0.5).eval())
    x = torch.randn(ROWS, D, generator=gen)
    rows = x.split(BATCH)
    pairs = {}
    dictionaries = timed(lambda: pairs.update(find_pairs([stack.decoder[0].detach() for stack in stacks]).pairs))
    grading, ratios = {}, {"all": [], "substitution alone": []}
    def encode():
        for part in rows:
            for stack in stacks: stack.encode(part)
    def observe(): grading["observed"] = observe_saes(stacks, rows)
    def replace(): substitute(stacks, grading["observed"], rows, pairs)
    for _ in range(ROUNDS):
        plain, first, second = timed(encode), timed(observe), timed(replace)
        ratios["all"].append((first + second) / plain)
        ratios["substitution alone"].append(second / plain)
    made = {"command": "python -m benchmarks.same.cost", "mfr": __version__, "torch": torch.__version__,
            "threads": torch.get_num_threads(), "latents": F, "rows": ROWS, "k": K, "ratios": ratios,
            "dictionaries alone, seconds": dictionaries,
            "peak GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            "rows GiB": x.numel() * 4 / 2**30, "pairs": {str(two): len(p.rows) for two, p in pairs.items()}}
    Path("results/same/cost.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(made["ratios"]))


if __name__ == "__main__": main()
