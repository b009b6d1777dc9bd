"What came out: scores of every stack and of what members share, what support is worth, and what is found again."
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata
from torch import Tensor

from mfr.agreement import Agreement, find_pairs, mutual_nearest
from mfr.code import times_active
from mfr.consensus import consensus_of
from mfr.data.occurrence import batch_generators, purpose_seed
from mfr.data.synthetic import TEST_STREAM
from mfr.metrics import agreement, evaluate, recovery, truth
from mfr.sae import SAEStack
from mfr.similarity import cosine, nearest, unit
from mfr.stability import found_in, leave_one_out


def seen(source, rows: int = 10_000) -> tuple[Float[Tensor, "b d"], Bool[Tensor, "b g"]]:
    "Held-out examples, and which true features are active in each."
    if hasattr(source, "model"):
        from mfr.saelens import drawn

        x, a = drawn(source, rows, purpose_seed(0, TEST_STREAM))
        return x, a > 0
    generator = next(batch_generators(purpose_seed(source.config.seed, TEST_STREAM), 0, source.device))
    features, weights = source.sample(rows, generator)
    active = torch.zeros(rows, len(source.features), dtype=torch.bool).scatter_(1, features, weights > 0)
    return source.mix(features, weights), active


@torch.no_grad()
def detection(stack: SAEStack, source) -> list[float]:
    "F1 of each member's latents as detectors of the true features that they are matched to, mean over features."
    x, active = seen(source)
    active, found = active.float(), []
    for i in range(stack.config.n):
        fired = (stack.member(i).encode(x).dense()[0] > 0).float()  # (b, f)
        pairs = linear_sum_assignment(cosine(stack.decoder[i], source.features).numpy(), maximize=True)
        both = (fired.T @ active).numpy()[pairs]
        sizes = fired.sum(0).numpy()[pairs[0]] + active.sum(0).numpy()[pairs[1]]
        found.append(float((2 * both / np.maximum(sizes, 1)).sum() / len(source.features)))
    return found


def scores(stack: SAEStack, source, known: bool) -> dict[str, list[float]]:
    "FVU and dead latents of every member; where the truth is known recovered, MCC and F1."
    e = evaluate(stack, source.held_out(1000))
    found = {"FVU": e.fvu.tolist(), "dead": e.dead.tolist()}
    if not known: return found
    if hasattr(source, "model"):
        from mfr.saelens import their_scores

        found |= {f"{name} of SAELens": values.tolist() for name, values in their_scores(stack, source).items()}
    real = recovery(stack.decoder, source.features)
    return found | {"recovered": real["recovered"], "MCC": real["matched"], "F1": detection(stack, source)}


@torch.no_grad()
def live_rows(stack: SAEStack, source) -> list[Float[Tensor, "f d"]]:
    "Unit rows of each member, zeros for latents that no held-out example activates."
    use = sum(times_active(stack.encode(x)) for x in source.held_out(1000))
    return [unit(rows) * (own > 0)[:, None] for rows, own in zip(stack.decoder, use)]


def side_by_side(stacks: Sequence[SAEStack], members: int | None = None) -> SAEStack:
    "The members of several stacks of one shape as one stack, or the first few of them."
    states = [stack.state_dict() for stack in stacks]
    joined = {name: torch.cat([state[name] for state in states])[:members] for name in states[0]}
    both = SAEStack(replace(stacks[0].config, n=len(joined["W"])), stacks[0].seed)
    both.load_state_dict(joined)
    return both.eval()


def by_support(rows: list[Tensor], found: Agreement, features: Tensor | None) -> dict[int, list[int]]:
    "Clusters of each support, and how many of them are true where that is known."
    consensus = consensus_of(rows, found)
    true = None if features is None else nearest(consensus.directions, features)[0] > 0.9
    table = {}
    for s in range(len(rows), 0, -1):
        here = consensus.support == s
        table[s] = [int(here.sum())] + ([] if true is None else [int(true[here].sum())])
    return table


def again(rows: list[Tensor], others: list[Tensor]) -> dict[str, dict[int, list[float]]]:
    "How often features of each support among all but one member are found in that one, and in SAEs trained apart."
    found = find_pairs(rows)
    predicted = leave_one_out(rows, found=found).groupby("support")["found"].agg(["size", "sum"])
    seen_again = {}
    for i in range(len(rows)):
        rest = [own * (j != i) for j, own in enumerate(rows)]
        consensus = consensus_of(rest, found.without([i]))
        for other in others:
            links = [pairs.only(found.is_same(pairs)) for pairs in (mutual_nearest(own, other) for own in rest)]
            there = found_in(consensus, links)
            for s in range(1, len(rows)):
                here = consensus.support == s
                n, k = seen_again.get(s, (0, 0))
                seen_again[s] = n + int(here.sum()), k + int(there[here].sum())
    told = {int(s): [int(row["size"]), int(row["sum"])] for s, row in predicted.iterrows()}
    return {"predicted": told, "seen": {s: list(v) for s, v in seen_again.items()}}


def shared(one: list[Tensor], other: list[Tensor], threshold: float, apart: bool) -> float:
    "Share of live latents found in another SAE, on average over all pairs of members, or all different ones."
    shares = []
    for (i, u), (j, v) in product(enumerate(one), enumerate(other)):
        near = (mutual_nearest(u, v).cosines >= threshold).sum().item()
        if apart or i != j: shares.append(near / u.any(1).sum().item())
    return float(np.mean(shares))


def ceiling(stacks: Sequence[SAEStack], features: Tensor) -> float:
    "Share of the true features that at least one member has found."
    best = torch.stack([nearest(features, rows)[0] for stack in stacks for rows in stack.decoder]).max(0).values
    return (best > 0.9).float().mean().item()


def missed(stacks: Sequence[SAEStack], source) -> dict[str, float]:
    "How often features occur that no member has found, and the others: shares of examples, medians."
    _, active = seen(source)
    best = torch.stack([nearest(source.features, rows)[0] for stack in stacks for rows in stack.decoder]).max(0).values
    density, found = active.float().mean(0), best > 0.9
    medians = {"found": density[found].median().item(), "missed": density[~found].median().item()}
    return {name: value for name, value in medians.items() if np.isfinite(value)}


def detector(rows: list[Tensor], features: Tensor) -> dict[str, float]:
    "Agreement as a detector of truth: its correlation with similarity to the truth, and the area under its ROC curve."
    alive = torch.stack([own.any(1) for own in rows])
    D = torch.stack([unit(own) for own in rows])
    agreed, near = agreement(D, alive).ravel(), truth(D, features).ravel()
    known = ~np.isnan(agreed) & ~np.isnan(near)
    real = near[known] > 0.9
    ranks = rankdata(agreed[known])
    pairs = real.sum() * (~real).sum()
    auc = (ranks[real].sum() - real.sum() * (real.sum() + 1) / 2) / pairs if pairs else np.nan
    return {"r": float(np.corrcoef(agreed[known], near[known])[0, 1]), "AUC": float(auc)}
