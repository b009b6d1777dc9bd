"""What a step of four members costs over a step of one, in turn in one process: `python -m benchmarks.worth.cost`."""
from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from benchmarks.worth.contestants import N
from benchmarks.worth.settings import SETTINGS, Setting
from mfr import __version__
from mfr.sae import SAEStack
from mfr.train import TrainConfig, Trainer

ROUNDS, STEPS = 9, 20


def seconds(trainer: Trainer, batches: list) -> float:
    "Of a few steps."
    begun = time.perf_counter()
    for x in batches: trainer.step(x)
    return time.perf_counter() - begun


def ratios(setting: Setting) -> list[float]:
    "A step of four over a step of one, in each round."
    batches = list(islice(setting.source(0, Path("runs/worth/x")).batches(setting.batch_size), STEPS))
    config = TrainConfig(10 * ROUNDS * STEPS, lr=setting.lr)
    one, four = (Trainer(SAEStack(replace(setting.sae, n=n), seed=0), config) for n in (1, N))
    for trainer in (one, four): seconds(trainer, batches)
    found = []
    for _ in range(ROUNDS):
        single = seconds(one, batches)
        found.append(seconds(four, batches) / single)
    return found


def main() -> None:
    made = {"command": "python -m benchmarks.worth.cost", "mfr": __version__, "torch": torch.__version__}
    made["threads"] = torch.get_num_threads()
    made["ratios"] = {name: ratios(SETTINGS[name]) for name in ("demo", "paper")}
    Path("results/consensus/cost.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
