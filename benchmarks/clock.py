"""Times contestants in one process, in turn, so that what disturbs one disturbs all."""
from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import pandas as pd
import torch

Contestants = dict[str, Callable[[], object]]  # by name, each doing its work once


def seconds(work: Callable[[], object], device: str = "cpu") -> float:
    "How long one call takes, waiting for a GPU before and after."
    wait = torch.cuda.synchronize if torch.device(device).type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start


def clock(
    contestants: Mapping[str, Callable[[], object]],  # by name, each doing its work once
    rounds: int,  # how often each is timed
    device: str = "cpu",  # waited for before and after
) -> pd.DataFrame:  # a row a round, a column a contestant, seconds
    "Time everybody in turn, in alternating order, after a first call that is not counted."
    for work in contestants.values(): work()
    names, rows = list(contestants), []
    for number in range(rounds):
        order = names[::-1] if number % 2 else names
        rows.append({name: seconds(contestants[name], device) for name in order})
    return pd.DataFrame(rows)[names]
