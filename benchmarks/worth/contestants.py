"What is trained: members, and rivals that take as many member-steps."
from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from benchmarks.worth.settings import Setting
from mfr.aux import AuxK
from mfr.code import times_active
from mfr.merging import merge
from mfr.mutual import Mutual
from mfr.reinit import Restarts
from mfr.sae import SAEStack
from mfr.saving import load, save
from mfr.train import TrainConfig, Trainer, centred_on, fit

N = 4  # members of a stack
TUNING = 0.1  # of the steps
DECAY = 0.3  # last share of the steps over which the learning rate falls


def tail(setting: Setting) -> TrainConfig:
    "How a consensus is tuned."
    return TrainConfig(round(TUNING * setting.steps), lr=setting.lr, lr_decay=DECAY)


def trained(setting: Setting, source, seed: int, n: int = 1, longer: float = 1.0, f: int = 1, **how) -> SAEStack:
    "A stack of n, of f times the width, trained `longer` times as long."
    stack = SAEStack(replace(setting.sae, n=n, d_hidden=f * setting.sae.d_hidden), seed=seed)
    config = TrainConfig(round(longer * setting.steps), **{"lr": setting.lr, "lr_decay": DECAY} | how)
    if fit(stack, source.batches(setting.batch_size, seed), config).interrupted: raise KeyboardInterrupt
    return stack


def averaged(setting: Setting, source, seed: int, longer: float, every: int = 10, keep: float = 0.99) -> SAEStack:
    "At a constant rate, and the running mean of the weights at its end."
    stack = SAEStack(setting.sae, seed=seed)
    trainer = Trainer(stack, TrainConfig(round(longer * setting.steps), lr=setting.lr))
    mean = copy.deepcopy(stack)
    batches = source.batches(setting.batch_size, seed)
    if stack.b is not None: batches = centred_on(stack, batches)
    for x in islice(batches, trainer.config.steps):
        trainer.step(x)
        if trainer.t % every: continue
        for m, p in zip(mean.parameters(), stack.parameters()): m.data.lerp_(p.data, 1 - keep)
    return mean


@torch.no_grad()
def cut(setting: Setting, source, wide: SAEStack) -> SAEStack:
    "The most used latents of a wide SAE, as many as one SAE has; not tuned yet."
    held = islice(source.batches(setting.batch_size, 98), 20)
    use = sum(times_active(wide.encode(x)) for x in held)[0]
    best = use.argsort(descending=True)[: setting.sae.d_hidden]
    one = SAEStack(setting.sae, wide.seed)
    for p, q in zip(one.parameters(), wide.parameters()): p.copy_(q[:, best] if q.shape[1:2] == use.shape else q)
    return one


def cut_and_tuned(setting: Setting, source, seed: int) -> SAEStack:
    "An SAE of n times the width, cut to the most used latents and tuned."
    one = cut(setting, source, trained(setting, source, seed, f=N).eval())
    batches = source.batches(setting.batch_size, seed, start=setting.steps)
    if fit(one, batches, tail(setting)).interrupted: raise KeyboardInterrupt
    return one


def pulled(weight: float, apart: int = 0) -> Callable:
    "Members with a penalty of another strength; apart with another start and order."
    return lambda setting, source, seed: trained(setting, source, seed + apart, n=N, mutual=Mutual(weight))


def early(share: float) -> Callable:
    "Members for a share of the steps, then their consensus, alone, for all member-steps that are left."
    def make(setting: Setting, source, seed: int) -> SAEStack:
        members = trained(setting, source, seed, n=N, longer=share, lr_decay=0.0)
        begun = round(share * setting.steps)
        config = TrainConfig(round(LONG * setting.steps) - N * begun, lr=setting.lr, lr_decay=DECAY)
        return merge(members.eval(), source.batches(setting.batch_size, seed, start=begun), config)
    return make


LONG = N * (1 + TUNING / N)  # member-steps of the members and the tuning, over those of one SAE
MAIN = {
    "A": lambda *at: trained(*at, n=N),
    "MFR": pulled(Mutual.weight),
    "long": lambda *at: trained(*at, longer=LONG),
}
APART = {
    "B": lambda setting, source, seed: trained(setting, source, seed + 1, n=N),
    "MFR B": pulled(Mutual.weight, 1),
}
SHARES = (0.05, 0.1, 0.25, 0.5)  # of the steps, after which members may be merged
FRONTIER = {f"MFR {w}{' B' * side}": pulled(w, side) for w in (0.03, 0.1) for side in (0, 1)}
RIVALS = {
    "long, constant rate": lambda *at: trained(*at, longer=LONG, lr_decay=0.0),
    "long, EMA": lambda *at: averaged(*at, longer=LONG),
    "long, AuxK": lambda *at: trained(*at, longer=LONG, aux=AuxK()),
    "long, restarts": lambda *at: trained(*at, longer=LONG, restarts=Restarts()),
    "wide, cut": cut_and_tuned,
}


def kept(make: Callable[[], SAEStack], folder: Path) -> SAEStack:
    "A trained stack from its folder, or trained and put there."
    if not (folder / "config.json").exists(): save(make().eval(), folder)
    return load(folder)
