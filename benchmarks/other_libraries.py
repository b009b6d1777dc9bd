"""SAELens and sparsify, each at its best settings: n TopK SAEs that take turns on the same batch."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import cycle

import torch
from torch import Tensor

from benchmarks.clock import Contestants
from benchmarks.sizes import Size


def sae_lens(size: Size, xs: list[Tensor], sparse: bool) -> Callable[[], None]:
    "One training step of n TopK SAEs of SAELens, in turn."
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig

    torch.sparse.check_sparse_tensor_invariants.disable()  # as it is by default; said aloud, it does not warn
    shared = {"d_in": size.d, "d_sae": size.f, "device": str(xs[0].device)}
    kind = {"use_sparse_activations": sparse, "rescale_acts_by_decoder_norm": not sparse}
    return training([TopKTrainingSAE(TopKTrainingSAEConfig(k=k, **shared, **kind)) for k in size.k], xs)


def batch_topk(size: Size, xs: list[Tensor]) -> Callable[[], None]:
    "One training step of n BatchTopK SAEs of SAELens, in turn."
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig

    shared = {"d_in": size.d, "d_sae": size.f, "device": str(xs[0].device)}
    return training([BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(k=k, **shared)) for k in size.k], xs)


def training(saes: list, xs: list[Tensor]) -> Callable[[], None]:
    "One training step of each SAE of SAELens, in turn."
    from sae_lens.saes.sae import TrainStepInput

    optimizers, source = [torch.optim.AdamW(sae.parameters(), fused=True) for sae in saes], cycle(xs)
    told = {"coefficients": {}, "dead_neuron_mask": None, "n_training_steps": 0, "is_logging_step": False}

    def step():
        x = next(source)
        for sae, optimizer in zip(saes, optimizers):
            sae.training_forward_pass(TrainStepInput(sae_in=x, **told)).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return step


def sparsify(size: Size, xs: list[Tensor]) -> Callable[[], None]:
    "One training step of n TopK SAEs of sparsify, in turn."
    from sparsify import SparseCoder, SparseCoderConfig

    device = xs[0].device
    saes = [SparseCoder(size.d, SparseCoderConfig(num_latents=size.f, k=k), device=device) for k in size.k]
    optimizers, source = [torch.optim.AdamW(sae.parameters(), fused=True) for sae in saes], cycle(xs)

    def step():
        x = next(source)
        for sae, optimizer in zip(saes, optimizers):
            sae.set_decoder_norm_to_unit_norm()
            sae(x).fvu.backward()
            sae.remove_gradient_parallel_to_decoder_directions()
            optimizer.step()
            optimizer.zero_grad()
    return step


def other_libraries(size: Size, xs: list[Tensor]) -> Contestants:
    "What is installed of them (pip install 'mfr[bench]')."
    ways = {
        "SAELens": partial(sae_lens, sparse=False),
        "SAELens, sparse": partial(sae_lens, sparse=True),
        "SAELens, BatchTopK": batch_topk,
        "sparsify": sparsify,
    }
    found = {}
    for name, make in ways.items():
        try: found[name] = make(size, xs)
        except ImportError: pass
    return found
