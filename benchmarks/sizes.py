"""Three shapes of a training step: the paper's two, and a wide one, where the search for matches weighs most."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from mfr.data.synthetic import Superposition, SuperpositionConfig
from mfr.mutual import Mutual
from mfr.sae import SAEConfig, SAEStack
from mfr.train import TrainConfig, fit


@dataclass(frozen=True)
class Size:
    "The shape of a training step."

    n: int  # members
    b: int  # examples in a batch
    d: int  # dimensions of an example
    f: int  # latents of each member
    k: tuple[int, ...]  # active latents of each member

    @property
    def sae(self) -> SAEConfig:
        return SAEConfig(self.d, self.f, self.k, self.n)

    @property
    def flop(self) -> int:
        "Floating-point operations of the encoder's products."
        return 2 * self.n * self.b * self.d * self.f

    @property
    def is_wide(self) -> bool:
        "Is a step so slow that fewer of them must do?"
        return self.f >= 10_000


SIZES = {
    "gpt2": Size(n=5, b=500, d=768, f=3072, k=(6, 12, 18, 24, 30)),
    "synthetic": Size(n=2, b=10_000, d=256, f=512, k=(36, 36)),
    "wide": Size(n=2, b=4096, d=768, f=24_576, k=(32, 32)),
}


def batches(size: Size, device: str = "cpu") -> Iterator[Tensor]:
    "Data with as many features as a member has latents."
    groups = max(1, min(12, size.f // max(size.k)))
    active = min(36, size.f // groups)
    config = SuperpositionConfig(d_in=size.d, n_features=size.f, n_groups=groups, n_active=active)
    return Superposition(config, device).batches(size.b)


def warm_stack(
    size: Size,
    steps: int,  # to train for
    device: str = "cpu",
) -> SAEStack:
    "A stack that has begun to learn, with MFR, so that matches and activity are not those of random numbers."
    stack = SAEStack(size.sae).to(device)
    if steps: fit(stack, batches(size, device), TrainConfig(steps, mutual=Mutual()))
    return stack
