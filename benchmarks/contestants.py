"""The floor, our steps whole and cut short, other rules, AuxK, and the searches for matches."""
from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle, islice

import pandas as pd
import torch
from torch import Tensor

from benchmarks.clock import Contestants
from benchmarks.sizes import Size
from mfr.aux import AuxK
from mfr.batch import Batch
from mfr.mutual import Matching, Mutual, find_matches
from mfr.sae import SAEStack
from mfr.select import topk
from mfr.train import TrainConfig, Trainer

ADVISED = Mutual()  # how MFR is run unless somebody says otherwise
SEARCH_EVERY = 400  # steps between two searches, late in a run
STEPS = 4  # that are timed together
DEAD = 0.09  # share of latents that AuxK finds dead, below a tenth
FOREVER = 2**50  # a step so late that it never comes


def floors(
    size: Size,
    x: Tensor,  # (b, d)
    W: Tensor,  # (n, f, d)
) -> Contestants:
    "The encoder's products alone, whole and in blocks that fit the cache."
    def products(rows: int) -> Callable[[], None]:
        out = x.new_empty(min(rows, size.b), size.f)
        def run():
            for w in W:
                for part in x.split(rows): torch.mm(part, w.T, out=out[: len(part)])
        return run
    return {"floor, whole": products(size.b), "floor, blocks": products(max(512, 2**20 // size.f))}


def stepper(
    stack: SAEStack,  # copied
    xs: list,  # batches in memory, taken in turn
    steps: int = STEPS,  # to take at a time
    **train,  # of `TrainConfig`
) -> Callable[[], None]:
    "Some training steps, without a row of the history."
    config = TrainConfig(FOREVER, log_every=FOREVER, **train)
    trainer, source = Trainer(copy.deepcopy(stack), config), cycle(xs)
    def run():
        for x in islice(source, steps): trainer.step(x)
    return run


def pulling(matching: Matching) -> Mutual:
    "A penalty that pulls at every step and searches at the first alone."
    return Mutual(0.001, relative_to=None, matching=matching, every=1, nearest=ADVISED.nearest, renew=FOREVER)


def choosing(stack: SAEStack, select: str) -> SAEStack:
    "The same weights under another rule."
    other = SAEStack(replace(stack.config, select=select)).to(stack.W.device)
    other.load_state_dict(stack.state_dict(), strict=False)
    return other


def helping(stack: SAEStack, xs: list[Tensor]) -> Callable[[], None]:
    "Steps with AuxK at every one, where the first latents are and stay dead."
    aux, dead = AuxK(every=1), int(DEAD * stack.config.d_hidden)
    trainer = Trainer(copy.deepcopy(stack), TrainConfig(FOREVER, log_every=FOREVER, aux=aux))
    source, weights = cycle(xs), trainer.stack.W.data[:, :dead]
    silent = 1e-3 * weights  # too small to be chosen
    def run():
        weights.copy_(silent)  # what they learnt since, taken back
        trainer.terms[0].unseen[:, :dead] = FOREVER
        for x in islice(source, STEPS): trainer.step(x)
    return run


def choices(stack: SAEStack, xs: list[Tensor]) -> Contestants:
    "Steps of the other rules, and of TopK with AuxK."
    with_gradients = [Batch(x, None, torch.randn_like(x)) for x in xs]
    return {
        "steps, mutual": stepper(choosing(stack, "mutual"), xs),
        "steps, feature": stepper(choosing(stack, "feature"), xs),
        "steps, gradient": stepper(choosing(stack, "gradient"), with_gradients),
        "steps, AuxK": helping(stack, xs),
    }


def parts(stack: SAEStack, xs: list[Tensor]) -> Contestants:
    "A step cut short: after the selection, the forward pass, the backward pass; and what the machine can do."
    x, W, c = xs[0], stack.W.detach(), stack.c.detach()
    x16, W16 = x.bfloat16(), W.bfloat16()
    def backward():
        stack.zero_grad()
        stack.step(x).loss.sum().backward()
    def products():
        for w in W16: torch.mm(x16, w.T)
    return {
        "until selected": lambda: topk(x[None], W, c, stack.config.ks),
        "until forward": lambda: stack.step(x),
        "until backward": backward,
        "products in bf16": products,
        "copy of W": W.clone,
    }


def ours(stack: SAEStack, xs: list[Tensor]) -> Contestants:
    "Steps without penalty, in low precision, with a pull of each matching; a search for each matching."
    D = stack.decoder.detach()
    return {
        "steps": stepper(stack, xs),
        "steps, bf16": stepper(stack, xs, precision="bf16"),
        "pulls, one-to-one": stepper(stack, xs, mutual=pulling("one-to-one")),
        "pulls, max": stepper(stack, xs, mutual=pulling("max")),
        "search, one-to-one": lambda: find_matches(D, "one-to-one", ADVISED.nearest),
        "search, max": lambda: find_matches(D, "max"),
    }


def with_mfr(step, pull, search):
    "Seconds of a step with MFR: its share of everything."
    return step + (pull - step) / ADVISED.every + search / SEARCH_EVERY


def per_step(times: pd.DataFrame) -> pd.DataFrame:
    "The same with seconds a step: the faster floor and SAELens, and MFR with its shares of pull and search."
    out = times.copy()
    for name in ("floor", "SAELens"):
        ways = [c for c in times if c.startswith(name) and c != "SAELens, BatchTopK"]
        if ways: out[name] = times[times[ways].median().idxmin()]
    out["step"] = times["steps"] / STEPS
    for name in ("bf16", "mutual", "feature", "gradient"): out[f"step, {name}"] = times[f"steps, {name}"] / STEPS
    out["step, AuxK"] = out["step"] + (times["steps, AuxK"] / STEPS - out["step"]) / AuxK().every
    for matching in ("one-to-one", "max"):
        pull, search = times[f"pulls, {matching}"] / STEPS, times[f"search, {matching}"]
        out[f"MFR, {matching}"] = with_mfr(out["step"], pull, search)
    return out
