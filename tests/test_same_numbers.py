"""The numbers of training do not change with the code: losses after 40, 80 and 120 steps are the first engine's.

The first engine held codes as padded arrays, fused the penalty into the gradient, and knew TopK alone. What came
after it must give the same losses, up to the order in which numbers are added.
"""
import pytest
import torch

from mfr import SAEConfig, SAEStack, Superposition, SuperpositionConfig, TrainConfig
from mfr.mutual import Mutual
from mfr.reinit import Restarts
from mfr.train import Trainer

ON_TRIAL = Restarts(most=2, limit=0.05, window=60, every=20)
CASES = {
    "plain": (dict(k=4, n=2), dict()),
    "k per member": (dict(k=(2, 4, 6), n=3), dict()),
    "untied, relu, bias": (dict(k=4, n=2, tied=False, relu=True, decoder_bias=True), dict()),
    "dense": (dict(k=(3, 20), n=2), dict()),
    "one-to-one, exact": (dict(k=4, n=3), dict(mutual=Mutual.exact(weight=0.01))),
    "max, exact": (dict(k=4, n=3), dict(mutual=Mutual.exact(weight=0.01, matching="max"))),
    "untied, max": (
        dict(k=4, n=3, tied=False),
        dict(mutual=Mutual.exact(weight=0.001, relative_to=None, matching="max", warmup=10)),
    ),
    "alpha matched": (
        dict(k=(2, 4, 6), n=3),
        dict(mutual=Mutual(weight=1.0, relative_to="loss", every=4, renew=1, nearest=0)),
    ),
    "restarts": (dict(k=4, n=3), dict(restarts=ON_TRIAL)),
    "lr decay": (dict(k=4, n=2), dict(lr_decay=0.5)),
}
LOSSES = {
    'plain': (
        [0.3807324152, 0.3516161703],
        [0.2539138810, 0.2725214357],
        [0.2283136595, 0.2442861427],
    ),
    'k per member': (
        [0.6134576877, 0.3516161703, 0.2618199537],
        [0.4058055587, 0.2725214357, 0.2100070555],
        [0.3411579441, 0.2442861427, 0.1800011164],
    ),
    'untied, relu, bias': (
        [0.3707294317, 0.3385776619],
        [0.2635165924, 0.2593044865],
        [0.2133902410, 0.2384197103],
    ),
    'dense': (
        [0.4684205525, 0.0968553406],
        [0.3187854527, 0.0551341191],
        [0.2651792187, 0.0386858064],
    ),
    'one-to-one, exact': (
        [0.3806841159, 0.3515693598, 0.3488794076],
        [0.2530542685, 0.2718285129, 0.2785640205],
        [0.2219504939, 0.2408613084, 0.2243800641],
    ),
    'max, exact': (
        [0.3806894696, 0.3515880944, 0.3488717433],
        [0.2531079305, 0.2719238329, 0.2784390072],
        [0.2237126137, 0.2415460281, 0.2255739766],
    ),
    'untied, max': (
        [0.3710902770, 0.3434125211, 0.3423700964],
        [0.2618406490, 0.2612206440, 0.2759121677],
        [0.2241327657, 0.2360099329, 0.2341502897],
    ),
    'alpha matched': (
        [0.6153154330, 0.3591046929, 0.2688732176],
        [0.4308677635, 0.2919750727, 0.2339641778],
        [0.4155150847, 0.2848783051, 0.2196114896],
    ),
    'restarts': (
        [0.4240961336, 0.4551848622, 0.4668690673],
        [0.4295773125, 0.4219615905, 0.3392483669],
        [0.3048994980, 0.3005300185, 0.2359158083],
        [(20, 0, 1), (20, 1, 1), (20, 2, 1), (40, 0, 2), (40, 1, 2), (40, 2, 2), (60, 0, 0), (60, 1, 0), (60, 2, 2)],
    ),
    'lr decay': (
        [0.3807324152, 0.3516161703],
        [0.2567590514, 0.2763719872],
        [0.2398145387, 0.2668166631],
    ),
}


@pytest.mark.filterwarnings("ignore:member")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 2e-4)], ids=str)
def test_losses_are_those_of_the_first_engine(name, dtype, within):
    sae, train = CASES[name]
    data = Superposition(SuperpositionConfig(d_in=16, n_features=40, n_groups=4, n_active=4))
    stack = SAEStack(SAEConfig(d_in=16, d_hidden=40, **dict(relu=False) | sae), seed=3).to(dtype)
    trainer = Trainer(stack, TrainConfig(steps=120, lr=0.003, log_every=40, **train))
    for _, x in zip(range(120), data.batches(64, seed=5)): trainer.step(x)
    *want, last = LOSSES[name]
    got = [row["loss"] for row in trainer.history.rows if "loss" in row]
    if name == "restarts": assert [(r.step, r.member, r.attempt) for r in trainer.history.restarts] == last
    else: want.append(last)
    torch.testing.assert_close(torch.tensor(got), torch.tensor(want), rtol=within, atol=1e-9)
