"""The algorithm as published (Marks et al. 2024), without cleverness.

A loop over SAEs with dense codes, and for every pair of them, at every step, the whole cosine matrix and the Hungarian
algorithm on the CPU, with the gradient through all of it. What the published code does beyond that is not imitated.
"""
from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, cycle

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from mfr.sae import SAEStack


def similarity(A: Tensor, B: Tensor) -> Tensor:
    "Mean cosine of the best one-to-one assignment of unit rows."
    C = A @ B.T  # (f, f)
    rows, columns = linear_sum_assignment(C.detach().cpu().numpy(), maximize=True)
    return C[rows, columns].mean()


def penalty(Ds: list[Tensor]) -> Tensor:
    "1 - mean similarity of every two dictionaries."
    pairs = list(combinations(Ds, 2))
    return 1 - sum(similarity(A, B) for A, B in pairs) / len(pairs)


def reconstruction(x: Tensor, W: Tensor, c: Tensor, D: Tensor, k: int) -> Tensor:
    "Mean squared error of one tied TopK SAE, values clipped at 0."
    top = (x @ W.T + c).topk(k, dim=1)
    z = torch.zeros(len(x), len(W), device=x.device).scatter(1, top.indices, top.values.relu())  # (b, f)
    return (z @ D - x).square().mean()


def published(
    stack: SAEStack,  # where it starts; not changed
    xs: list[Tensor],  # batches in memory, taken in turn
    alpha: float = 0.001,  # weight of the penalty in the loss of each SAE
) -> Callable[[], Tensor]:  # one training step, giving its loss
    "n SAEs trained as published."
    Ws = [nn.Parameter(W.detach().clone()) for W in stack.W]
    cs = [nn.Parameter(c.detach().clone()) for c in stack.c]
    optimizer, source = torch.optim.AdamW([*Ws, *cs], lr=1e-3), cycle(xs)

    def step() -> Tensor:
        x, Ds = next(source), [F.normalize(W, dim=1) for W in Ws]
        loss = sum(reconstruction(x, *sae) for sae in zip(Ws, cs, Ds, stack.config.ks))
        loss = loss + len(Ds) * alpha * penalty(Ds)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()
    return step
