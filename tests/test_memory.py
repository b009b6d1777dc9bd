"""A wide step stays small: no (b, f), f x f or b x k x d tensor is ever whole in memory."""
import subprocess
import sys

import pytest

STEP = """
import resource, sys
import torch
from mfr.mutual import Mutual
from mfr.sae import SAEConfig, SAEStack
from mfr.train import TrainConfig, Trainer, keep_memory
import numba, scipy.optimize, scipy.sparse.csgraph
from mfr import compiled

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # MiB

keep_memory()
imported = peak()
stack = SAEStack(SAEConfig(d_in=512, d_hidden=65_536, k=32, n=2))
built = peak()
trainer = Trainer(stack, TrainConfig(steps=1, mutual=Mutual(matching=sys.argv[1])))
gen = torch.Generator().manual_seed(0)
trainer.step(torch.randn(1024, 512, generator=gen))
print(peak() - imported, built - imported)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone")
@pytest.mark.parametrize("matching", ["max", "one-to-one"])
def test_a_wide_step_with_mfr_stays_under_3_GiB(matching):
    "n = 2, d = 512, f = 65,536, b = 1024, k = 32: parameters, gradients and AdamW's state alone are 1 GiB."
    done = subprocess.run([sys.executable, "-c", STEP, matching], capture_output=True, text=True, check=True)
    used, built = (float(v) for v in done.stdout.split())
    print(f"{matching}: {used:.0f} MiB beyond import, {built:.0f} of them already when the stack was built")
    assert used < 3 * 2**10, done.stdout


CORPUS = """
import resource, sys
import mne
import numpy as np
from mfr.eeg.corpus import gather

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # MiB

folder, files = sys.argv[1], int(sys.argv[2])
mne.set_log_level("error")
x = 2e-5 * np.random.default_rng(0).standard_normal((8, 256 * 300))
info = mne.create_info(["Fp1", "Fp2", "C3", "C4", "P3", "P4", "O1", "O2"], 256.0, "eeg")
for i in range(files): mne.io.RawArray(x, info).save(f"{folder}/{i:02d}_raw.fif")
print(len(gather(folder, f"{folder}/store", progress=False)), peak())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone")
def test_a_corpus_is_read_one_recording_at_a_time(tmp_path):
    "Sixteen recordings of 5 minutes, 5 MiB each in float64, take hardly more memory than two."
    pytest.importorskip("mne")
    peaks = {}
    for files in (2, 16):
        (folder := tmp_path / str(files)).mkdir()
        command = [sys.executable, "-c", CORPUS, str(folder), str(files)]
        windows, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert int(windows) == files * 300
        peaks[files] = float(peak)
    print(f"{peaks[2]:.0f} and {peaks[16]:.0f} MiB")
    assert peaks[16] < peaks[2] + 60
