"""A wide step stays small: no (b, f), f x f or b x k x d tensor is ever whole in memory."""
import subprocess
import sys

import pytest

STEP = """
import resource, sys
import torch
from mfr import SAEConfig, SAEStack, TrainConfig
from mfr.train import Trainer, keep_memory
import numba, scipy.optimize, scipy.sparse.csgraph
from mfr import compiled

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # MiB

keep_memory()
imported = peak()
stack = SAEStack(SAEConfig(d_in=512, d_hidden=65_536, k=32, n=2))
built = peak()
trainer = Trainer(stack, TrainConfig(steps=1, alpha_rel=0.003, matching=sys.argv[1], nearest=16))
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
