"""What MFR adds to a run from its first step to its last, searches included."""
from __future__ import annotations

from functools import partial
from itertools import islice

import pandas as pd
from torch import Tensor

from benchmarks.clock import seconds
from benchmarks.sizes import Size, batches
from mfr.mutual import Mutual
from mfr.sae import SAEStack
from mfr.train import TrainConfig, Trainer

STEPS, BLOCK = 1000, 50


def train_on(trainer: Trainer, xs: list[Tensor]) -> None:
    "A block of steps."
    for x in xs: trainer.step(x)


def whole_run(
    size: Size,
    device: str = "cpu",
    steps: int = STEPS,  # of each run
    block: int = BLOCK,  # steps of one run before the other takes its turn
) -> dict[str, float]:  # seconds a step, on average, of the run without penalty and of the run with `Mutual()`
    "Two runs from one start on the same batches, in alternating blocks; making the batches is not counted."
    configs = {"whole run": TrainConfig(steps), "whole run, MFR": TrainConfig(steps, mutual=Mutual())}
    runs = {name: Trainer(SAEStack(size.sae).to(device), config) for name, config in configs.items()}
    spent, source = dict.fromkeys(runs, 0.0), batches(size, device)
    for number in range(-(-steps // block)):
        xs = list(islice(source, min(block, steps - number * block)))
        for name in list(runs)[:: -1 if number % 2 else 1]:
            spent[name] += seconds(partial(train_on, runs[name], xs), device)
    return {name: total / steps for name, total in spent.items()}


def whole_runs(size: Size, times: int, device: str = "cpu", steps: int = STEPS) -> pd.DataFrame:
    "Several such pairs, a row each."
    return pd.DataFrame([whole_run(size, device, steps) for _ in range(times)])
