"The kinds of data on which definitions are calibrated."
from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.worth.real import Matrix, matrix
from benchmarks.worth.settings import DEMO, SETTINGS, Setting, synthetic
from mfr.sae import SAEConfig
from mfr.terms import Term

ELECTRODES = ("Fc3.", "Fcz.", "Fc4.", "C3..", "Cz..", "C4..", "Cp3.", "Cp4.")  # as the recordings name them


def eeg(seed: int, folder: Path) -> Matrix:
    "Half-second windows, half overlapping, of eight electrodes, .5 to 30 Hz; the last two recordings are held out."
    import mne

    files = sorted((Path(os.environ.get("MFR_DATA", "../shared/data")) / "eeg" / "eegbci").glob("*.edf"))
    if not files: raise FileNotFoundError("MFR_DATA: expected a folder with eeg/eegbci/*.edf")
    parts = []
    for file in files:
        raw = mne.io.read_raw_edf(file, preload=True, verbose="error").pick(list(ELECTRODES))
        raw = raw.filter(0.5, 30, verbose="error")
        x = raw.get_data()[:, :: 2]  # 80 Hz; the band ends at 30
        x = x / x.std()
        cut = np.stack([x[:, start : start + 40] for start in range(0, x.shape[1] - 40, 20)])
        parts.append(torch.from_numpy(cut.reshape(len(cut), -1)).float())
    return Matrix(torch.cat(parts[:-2]), torch.cat(parts[-2:]))


class L1(Term):
    "A penalty on the activations: with every latent allowed, a ReLU SAE."

    def __init__(self, weight: float): self.weight = weight

    def __call__(self, stack, out, step): return self.weight * out.code.values.sum() / out.error.shape[1]


TIED = Setting(partial(matrix, name="smollm2", tokens=120_000), SAEConfig(576, 1024, 32, decoder_bias="fixed"), 1500,
               lr=0.001, truth=False)
UNTIED = dict(tied=False)
CHOSEN = {
    "demo": replace(SETTINGS["demo"], steps=1000),
    "log-uniform": SETTINGS["rare"],
    "correlated": replace(SETTINGS["hard"], source=partial(synthetic, **DEMO, correlation=0.3)),
    "families": SETTINGS["hard"],
    "small features": replace(SETTINGS["demo"], source=partial(synthetic, **DEMO, n_small=16, size=0.5)),
    "saelens": SETTINGS["saelens"],
    "gpt2": replace(SETTINGS["gpt2"], source=partial(matrix, name="gpt2", tokens=300_000), steps=4000),
    "minilm": replace(SETTINGS["minilm"], source=partial(matrix, name="minilm", tokens=200_000), steps=2000),
    "smollm2": TIED,
    "smollm2, untied": replace(TIED, sae=replace(TIED.sae, **UNTIED)),
    "smollm2, Mutual Choice": replace(TIED, sae=replace(TIED.sae, select="mutual")),
    "gpt2, untied": replace(SETTINGS["gpt2"], source=partial(matrix, name="gpt2", tokens=300_000), steps=2000,
                            sae=replace(SETTINGS["gpt2"].sae, **UNTIED)),
    "gpt2, ReLU": replace(SETTINGS["gpt2"], source=partial(matrix, name="gpt2", tokens=300_000), steps=2000,
                          sae=replace(SETTINGS["gpt2"].sae, k=512, decoder_bias="fixed")),
    "eeg": Setting(eeg, SAEConfig(320, 512, 16, decoder_bias="fixed"), 1500, 256, 0.001, truth=False),
}
TERMS = {"gpt2, ReLU": (L1(0.003),)}
