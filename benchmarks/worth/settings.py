"The kinds of data, and the size of what is trained on each."
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.worth.real import matrix
from mfr.data.synthetic import Superposition, SuperpositionConfig
from mfr.sae import SAEConfig


@dataclass(frozen=True)
class Setting:
    "Data, and how long SAEs of which shape are trained on them."

    source: Callable  # (seed, folder for what is made once) -> source of batches
    sae: SAEConfig  # of one SAE
    steps: int
    batch_size: int = 500
    lr: float = 0.003
    truth: bool = True  # are the features known?


def synthetic(seed: int, folder: Path, **config) -> Superposition:
    "Superposed features, others for every seed."
    return Superposition(SuperpositionConfig(seed=seed, **config))


def saelens(seed: int, folder: Path):
    "SAELens's generator: power-law frequencies, low-rank correlation, uneven magnitudes."
    from sae_lens import synthetic as theirs

    from mfr.saelens import SAELensSource

    config = theirs.SyntheticModelConfig(
        num_features=1024, hidden_dim=192, seed=seed, std_firing_magnitudes=0.3,
        firing_probability=theirs.ZipfianFiringProbabilityConfig(),
        correlation=theirs.LowRankCorrelationConfig(),
    )
    return SAELensSource(config, test_rows=20_000)


DEMO = dict(d_in=64, n_features=128, n_groups=4, n_active=8)
GPT2 = partial(matrix, name="gpt2", tokens=1_800_000)
MINILM = partial(matrix, name="minilm", tokens=420_000)
HARD = dict(correlation=0.3, children=1, frequencies="loguniform", rarest=0.01)
SETTINGS = {
    "demo": Setting(partial(synthetic, **DEMO), SAEConfig(64, 128, 8), 2000),
    "rare": Setting(partial(synthetic, **DEMO, frequencies="loguniform"), SAEConfig(64, 128, 8), 2000),
    "hard": Setting(partial(synthetic, **DEMO, **HARD), SAEConfig(64, 128, 8), 2000),
    "saelens": Setting(saelens, SAEConfig(192, 768, 16, tied=False, decoder_bias=True), 2500, batch_size=1024),
    "gpt2": Setting(GPT2, SAEConfig(128, 512, 12), 16_000, lr=0.001, truth=False),
    "gpt2 noise": Setting(partial(GPT2, noise=True), SAEConfig(128, 512, 12), 16_000, lr=0.001, truth=False),
    "minilm": Setting(MINILM, SAEConfig(384, 1536, 32, decoder_bias="fixed"), 6000, 512, 0.001, truth=False),
    "paper": Setting(partial(synthetic), SAEConfig(256, 512, 36), 8000, batch_size=1000),
}
