"""The engine on whatever sizes, layouts, types and scales: the numbers of a naive reference in float64, or a sentence.

MFR_EXAMPLES says how many examples each test tries.
"""
import os
import re
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from mfr.autoencode import autoencode
from mfr.aux import AuxK
from mfr.batch import Batch, as_batch
from mfr.code import Code, code_of
from mfr.mutual import Mutual, find_matches, mutual_penalty
from mfr.sae import SAEConfig, SAEStack
from mfr.similarity import unit
from mfr.train import TrainConfig, Trainer, fit

many = settings(
    max_examples=int(os.environ.get("MFR_EXAMPLES", "40")), deadline=None, derandomize="MFR_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
DTYPES = torch.float16, torch.bfloat16, torch.float32, torch.float64
SCALES = 1.0, 1e-3, 1e3, 1e-30, 1e15, 1e30


class Case(NamedTuple):
    "Sizes and kinds of numbers."

    n: int
    b: int
    d: int
    f: int
    k: int
    scale: float
    dtype: torch.dtype
    rows: str
    layout: str
    seed: int
    weights: float = 1.0

    @property
    def rng(self): return torch.Generator().manual_seed(self.seed)

    def x(self, dtype=None):
        "Rows (b, d) of this kind."
        x = torch.randn(self.b, self.d, generator=self.rng, dtype=torch.float64) * self.scale
        if self.rows == "constant": x = torch.full_like(x, self.scale)
        if self.rows == "zero": x = torch.zeros_like(x)
        if self.rows == "duplicate": x = x[:1].expand(self.b, self.d).clone()
        if self.rows == "whole": x = x.div(self.scale).round() * self.scale
        x = x.clamp(-torch.finfo(dtype or self.dtype).max, torch.finfo(dtype or self.dtype).max).to(dtype or self.dtype)
        if self.layout == "transposed": return x.T.contiguous().T
        if self.layout == "strided": return torch.stack([x, x], -1).flatten(1)[:, ::2]
        return x


@st.composite
def cases(draw, scales=SCALES, least=0, weights=(1.0,)):
    f = draw(st.sampled_from([1, 2, 3, 8, 65, 130]))
    return Case(
        n=draw(st.integers(1, 3)), b=draw(st.sampled_from([b for b in (0, 1, 2, 7, 33) if b >= least])),
        d=draw(st.sampled_from([1, 2, 5, 17])), f=f, k=draw(st.sampled_from(sorted({1, min(2, f), max(1, f // 3), f}))),
        scale=draw(st.sampled_from(scales)), dtype=draw(st.sampled_from(DTYPES)),
        rows=draw(st.sampled_from(["random", "constant", "zero", "duplicate", "whole"])),
        layout=draw(st.sampled_from(["contiguous", "transposed", "strided"])), seed=draw(st.integers(0, 2**31)),
        weights=draw(st.sampled_from(weights)),
    )  # fmt: skip


def stack_of(case, **kw):
    "A stack whose biases and rows are no longer those of the start."
    stack = SAEStack(SAEConfig(case.d, case.f, case.k, case.n, **kw), seed=case.seed)
    with torch.no_grad():
        stack.c.copy_(0.1 * torch.randn(case.n, case.f, generator=case.rng) * min(case.scale, 1e3))
        size = (torch.rand(case.n, case.f, 1, generator=case.rng) + 0.5) * case.weights
        for rows in {stack.W, stack.rows}: rows.mul_(size)
    return stack


@pytest.fixture(params=[False, True], ids=["in full", "screened"], autouse=True, scope="module")
def screened(request):
    "Processors with and without fast bfloat16 select in two ways."
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mfr.select.fast_bf16", lambda: request.param)
        yield


def or_a_sentence(f, *args):
    "What a call gives; nothing where it refuses in our own words."
    try: return f(*args)
    except ValueError as e: sentence = str(e)
    assert re.match(r"[\w.]+: (expected|training diverged)", sentence), sentence
    return None


def reference(stack, x):
    "Pre-activations (n, b, f) in float64, and how far float32 may be off."
    W, c, x = stack.W.detach().double(), stack.c.detach().double()[:, None], x.float().double()
    error = (x.abs() @ W.abs().mT + c.abs()) * (stack.config.d_in + 4) * 2.0**-23
    return x @ W.mT + c, error


def check_code(code: Code, pre, error, ks, exact=True):
    "k of each row, different ones, the largest but for rounding, with the right values."
    for i, k in enumerate(ks):
        one = code.member(i)
        assert one.counts.eq(k).all() or not exact
        for r, (first, last) in enumerate(zip(one.offsets[:-1].tolist(), one.offsets[1:].tolist())):
            chosen, values = one.latents[first:last], one.values[first:last].double()
            assert len(set(chosen.tolist())) == len(chosen)
            assert ((values - pre[i, r, chosen]).abs() <= error[i, r, chosen] + 1e-44).all()
            left = torch.ones(pre.shape[-1], dtype=torch.bool)
            left[chosen] = False
            if exact and left.any() and len(chosen):
                slack = 2 * error[i, r].max()
                assert pre[i, r, chosen].min() >= pre[i, r, left].max() - slack


WEIGHTS = 1.0, 1.0, 1e-25, 1e6


@many
@given(cases(weights=WEIGHTS))
@example(Case(1, 33, 2, 8, 2, 1e-30, torch.bfloat16, "whole", "contiguous", 3))  # squares of such rows are 0
def test_encoding(case):
    "TopK, in training and in evaluation."
    stack, x = stack_of(case, relu=False), case.x()
    code = or_a_sentence(stack.encode, x)
    if code is None: return
    assert code.shape == (case.n, case.b, case.f)
    check_code(code, *reference(stack, x), stack.config.ks)
    clipped = stack_of(case).encode(x)
    assert (clipped.values > 0).all() and len(clipped.values) == int((code.values > 0).sum())


@many
@given(cases(weights=WEIGHTS), st.sampled_from([False, True]), st.sampled_from([False, True, "fixed"]))
def test_decoding(case, tied, bias):
    "forward, decode and step agree with sums of unit rows in float64."
    stack, x = stack_of(case, tied=tied, decoder_bias=bias, relu=False), case.x()
    found = or_a_sentence(stack, x)
    if found is None: return
    x_hat, code = found
    D = stack.rows.detach().double()
    D = D / D.norm(dim=-1, keepdim=True).clamp_min(1e-300)
    dense = code.dense().detach().double()
    want = dense @ D
    slack = dense.abs() @ D.abs() * (case.k + 8) * 2.0**-22 + x.float().double().abs() * 2.0**-22 + 1e-44
    assert ((x_hat.detach().double() - want).abs() <= slack).all()
    assert ((stack.decode(code).detach().double() - want).abs() <= slack).all()
    if not case.b: return
    out = stack.step(x)
    loss = (want - x.float().double()).square().mean((1, 2))
    small = torch.finfo(torch.float32)
    bound = (slack * (want - x.float().double()).abs() * 4 + slack**2).mean((1, 2)) + loss * 1e-4 + small.tiny
    where = loss < small.max / (case.b * case.d * 4)
    assert ((out.loss.detach().double() - loss).abs() <= bound)[where].all()


@many
@given(cases(scales=(1.0, 1e-3, 1e3), least=1), st.booleans())
def test_gradients(case, tied):
    "Against autograd through dense matrices in float64, for a random choice of active pairs."
    rng = case.rng
    x = case.x(torch.float32)[None].requires_grad_()
    W = torch.randn(case.n, case.f, case.d, generator=rng).requires_grad_()
    c = torch.randn(case.n, case.f, generator=rng).requires_grad_()
    V = None if tied else torch.randn(case.n, case.f, case.d, generator=rng).requires_grad_()
    chosen = torch.rand(case.n, case.b, case.f, generator=rng) < 0.4
    pre = (x.detach() @ W.detach().mT + c.detach()[:, None]).expand(case.n, -1, -1)
    out = autoencode(code_of(pre.contiguous(), chosen), x, W, c, V)
    weights = torch.rand(case.n, generator=rng)
    ours = torch.autograd.grad((out.loss * weights).sum(), [t for t in (x, W, c, V) if t is not None])
    dense = [t.detach().double().requires_grad_() for t in (x, W, c, V) if t is not None]
    X, A, C, *B = dense
    D = B[0] if B else A
    x_hat = ((X @ A.mT + C[:, None]) * chosen) @ (D / D.norm(dim=-1, keepdim=True))
    loss = (x_hat - X).square().mean((1, 2))
    theirs = torch.autograd.grad((loss * weights.double()).sum(), dense)
    shortest = D.detach().norm(dim=-1).min().item()
    floor = 1e-6 * case.f * (x.detach().abs().max().item() + 1) ** 2 * max(1, 1 / shortest)
    for a, b in zip(ours, theirs): assert ((a.double() - b).abs() <= 2e-4 * b.abs().max() + floor).all()


@many
@given(cases(least=1))
def test_mutual_choice(case):
    "The k b best pairs of a batch."
    stack, x = stack_of(case, select="mutual", relu=False).train(), case.x()
    out = or_a_sentence(stack.step, x)
    if out is None: return
    pre, error = reference(stack, x)
    for i in range(case.n):
        chosen, slack = out.code.member(i), 2 * error[i].max()
        assert len(chosen.values) == case.k * case.b
        kept = torch.zeros(case.b, case.f, dtype=torch.bool)
        kept[torch.arange(case.b).repeat_interleave(chosen.counts[0]), chosen.latents] = True
        if not kept.all(): assert pre[i][kept].min() >= pre[i][~kept].max() - slack
    or_a_sentence(stack.eval().encode, x)


@many
@given(cases(least=1), st.sampled_from([0.0, 1.0]))
def test_feature_choice(case, zipf):
    "Every latent has its budget, of its best examples."
    stack, x = stack_of(case, select="feature", zipf=zipf, relu=False).train(), case.x()
    for _ in range(2):
        out = or_a_sentence(stack.step, x)
        if out is None: return
        pre, error = reference(stack, x)
        for i in range(case.n):
            code = out.code.member(i)
            assert len(code.values) == case.k * case.b
            kept = torch.zeros(case.b, case.f, dtype=torch.bool)
            kept[torch.arange(case.b).repeat_interleave(code.counts[0]), code.latents] = True
            for j in range(case.f):
                mine, slack = kept[:, j], 2 * error[i, :, j].max()
                if mine.any() and not mine.all(): assert pre[i, mine, j].min() >= pre[i, ~mine, j].max() - slack
    or_a_sentence(stack.eval().encode, x)


@many
@given(cases(least=1))
def test_gradient_selection(case):
    "k of each row; by size of z (1 + |D g|), which is read in bfloat16."
    stack, x = stack_of(case, select="gradient", relu=False).train(), case.x()
    out = or_a_sentence(stack.step, Batch(x, None, x.flip(0)))
    if out is None: return
    check_code(out.code, *reference(stack, x), stack.config.ks, exact=False)
    assert out.code.counts.eq(case.k).all()


@many
@given(cases(), st.sampled_from(["topk", "mutual", "feature"]), st.booleans())
def test_a_step_of_training(case, select, paired):
    "Mutual and AuxK; finite weights, as in float64, or a sentence and the weights as they were."
    config = TrainConfig(steps=2, lr=0.01, log_every=1, aux=AuxK(dead_after=1, every=1), precision="fp32",
                         mutual=Mutual(every=1, warmup=0) if case.n > 1 else None)
    stack, x = stack_of(case, select=select), case.x()
    item = (x, x.flip(0)) if paired else x
    double = stack_of(case, select=select).double()
    before = {name: p.detach().clone() for name, p in stack.named_parameters()}
    if or_a_sentence(Trainer(stack, config).step, item) is None and stack.W.equal(before["W"]): return
    assert all(p.isfinite().all() for p in stack.parameters())
    Trainer(double, config).step(item)
    usual = select == "topk" and case.rows == "random" and case.dtype is not torch.float64 and 1e-3 <= case.scale <= 1e3
    if not usual or case.d < 3: return  # AdamW makes a step of the learning rate out of the sign of a rounding
    scale = max(1.0, before["W"].abs().max().item())
    off = (stack.W.double() - double.W).abs() / scale
    assert off.median() <= 1e-3 and off.max() <= 0.021, "a step is at most the learning rate, either way"


@many
@given(cases(scales=(1.0, 1e-30, 1e15, 1e30), least=1), st.sampled_from([0, 1, 4]), st.booleans())
def test_matches(case, nearest, some_dead):
    "One-to-one: as good as the best assignment in float64 where that is asked for; 'max': each one's nearest."
    n, rng = case.n + 1, case.rng
    rows = torch.randn(n, case.f, case.d, generator=rng) * case.scale
    if case.rows == "zero": rows[:, 0] = 0
    if case.rows == "duplicate": rows[:] = rows[:1, :1]
    D = unit(rows)
    alive = torch.rand(n, case.f, generator=rng) < 0.5 if some_dead else None
    wide = rows.double()
    wide = wide / wide.norm(dim=-1, keepdim=True).clamp_min(1e-300)
    assert (D.double() - wide).abs().max() < 1e-5
    found = find_matches(D, "one-to-one", nearest, alive)
    ends, partner = found.start.tolist(), found.partner
    assert ends[-1] == len(partner) and sorted(found.order.tolist()) == list(range(n * case.f))
    for a in range(n * case.f):
        mine = partner[ends[a] : ends[a + 1]].tolist()
        others = [b // case.f for b in mine]
        assert len(set(others)) == len(others) and a // case.f not in others
        if alive is None: assert len(mine) == n - 1
    if nearest or some_dead: return
    total = sum(float(wide.flatten(0, 1)[a] @ wide.flatten(0, 1)[b])
                for a in range(n * case.f) for b in partner[ends[a] : ends[a + 1]].tolist()) / 2
    best = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            cosines = (wide[i] @ wide[j].T).numpy()
            best += cosines[linear_sum_assignment(cosines, maximize=True)].sum()
    assert total >= best - 1e-4 * max(1, n * n * case.f)
    penalty = mutual_penalty(D, "max")
    want = 1 - np.mean([(wide[i] @ wide[j].T).max(1).values.mean() for i in range(n) for j in range(n) if i != j])
    assert abs(penalty.item() - want) < 1e-4


@many
@given(cases(), st.sampled_from(["tensor", "array", "list", "pair"]))
def test_batches(case, form):
    "The numbers arrive as they were, in the stack's type."
    x, like = case.x(), torch.zeros(3, case.d)
    if form == "array" and case.dtype is torch.bfloat16: return
    item = {"tensor": x, "array": x.numpy() if form == "array" else x, "list": x.tolist(), "pair": (x, x)}[form]
    if form == "list" and case.b <= 3: return  # may be a batch with what comes along
    got = or_a_sentence(as_batch, item, like)
    if got is None: return
    assert got.x.dtype == torch.float32 and got.x.shape == (case.b, case.d) and got.x.equal(x.float())


@pytest.mark.parametrize("select", ["topk", "mutual", "feature"])
def test_no_rows(select):
    "A batch without rows."
    stack = SAEStack(SAEConfig(4, 6, 2, 2, select=select))
    x = torch.zeros(0, 4)
    or_a_sentence(stack.train().step, x)
    trainer = Trainer(SAEStack(SAEConfig(4, 6, 2, 2, select=select)), TrainConfig(steps=3, mutual=Mutual(), aux=AuxK()))
    before = trainer.stack.W.detach().clone()
    assert or_a_sentence(trainer.step, x) is None and trainer.stack.W.equal(before)


@pytest.mark.parametrize("select", ["topk", "mutual", "feature"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bad", [torch.inf, -torch.inf, torch.nan])
def test_the_last_row_is_broken(select, dtype, bad):
    "Nothing is written beyond what is there, and the row is named."
    stack = SAEStack(SAEConfig(12, 300, k=3, n=2, select=select)).to(dtype)
    x = torch.randn(32, 12, dtype=dtype, generator=torch.Generator().manual_seed(0))
    x[31, 2] = bad
    with pytest.raises(ValueError, match="rows 31$"): fit(stack, [x], TrainConfig(steps=1))
