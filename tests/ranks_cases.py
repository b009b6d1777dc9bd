"""Small trainings that several processes run together: `torchrun ... tests/ranks_cases.py FOLDER ROWS` runs them.

A case is what `train` makes of it: weights and buffers, history, restarts, and what the terms remember.
"""
import os
import signal
import sys
import warnings
from itertools import islice
from pathlib import Path

import torch

from mfr import AuxK, AuxZipf, Batch, Mutual, Restarts, SAEConfig, SAEStack, Superposition, SuperpositionConfig
from mfr import TrainConfig, load_checkpoint, save_checkpoint
from mfr.checkpoint import pack
from mfr.ranks import is_main, join, leave, now
from mfr.train import Trainer, train

DATA = Superposition(SuperpositionConfig(d_in=12, n_features=20, n_groups=4, n_active=3))
MFR = Mutual(weight=0.01, every=2, renew=4, nearest=0, warmup=5, dead_after=200)
ON_TRIAL = Restarts(most=2, limit=0.05, window=12, every=4)
SMALL_AUX = dict(k_aux=4, dead_after=120, every=2)
CASES = {
    "topk": (dict(k=3), dict()),
    "topk, unequal": (dict(k=(2, 3)), dict(mutual=MFR, restarts=ON_TRIAL)),
    "topk, untied, bias": (dict(k=3, tied=False, decoder_bias=True), dict(mutual=Mutual.exact(matching="max"))),
    "topk, aux": (dict(k=2), dict(aux=AuxK(**SMALL_AUX), mutual=MFR)),
    "topk, zipf": (dict(k=2, decoder_bias="fixed"), dict(aux=AuxZipf(**SMALL_AUX, memory=10, refit=5))),
    "mutual": (dict(k=3, select="mutual"), dict(mutual=MFR)),
    "mutual, untied, bias": (dict(k=3, select="mutual", tied=False, decoder_bias=True), dict(restarts=ON_TRIAL)),
    "feature": (dict(k=3, select="feature"), dict()),
    "feature, zipf": (dict(k=3, select="feature", zipf=0.5, tied=False), dict(mutual=MFR)),
    "gradient": (dict(k=3, select="gradient"), dict(mutual=MFR)),
    "gradient, bias": (dict(k=3, select="gradient", decoder_bias=True), dict(lr_decay=0.5)),
    "by the loss": (dict(k=3), dict(mutual=Mutual(weight=0.5, relative_to="loss", every=2, nearest=4))),
}
STEPS, HALF = 16, 8
FEW = ("topk, unequal", "topk, aux", "mutual", "feature, zipf", "gradient")
PRECISE = [(name, torch.float64) for name in CASES]
ROUGH = [(name, torch.float32) for name in FEW]


def batches(size, dtype, start=0):
    "With gradients, which only some rules read."
    for x in islice(DATA.batches(size), start, None): yield Batch(x.to(dtype), None, x.to(dtype).roll(1, 1))


def trainer_of(name, dtype):
    sae, config = CASES[name]
    stack = SAEStack(SAEConfig(d_in=12, d_hidden=20, n=2, **sae), seed=1).to(dtype)
    return Trainer(stack, TrainConfig(steps=STEPS, lr=0.01, log_every=6, **config))


def trained(trainer, size, steps=STEPS):
    "The same trainer, after so many steps in all."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(trainer, islice(batches(size, trainer.stack.W.dtype, trainer.t), steps - trainer.t))
    return trainer


def result(trainer):
    "As tensors and what JSON can hold."
    tensors, history = {}, trainer.history
    terms = pack([{k: v for k, v in t.state_dict().items() if k != "matches"} for t in trainer.terms], tensors)
    tensors |= {f"stack.{name}": t.detach().clone() for name, t in trainer.stack.state_dict().items()}
    return {"tensors": tensors, "rows": history.rows, "restarts": [vars(r) for r in history.restarts], "terms": terms}


def of(name, dtype, size): return result(trained(trainer_of(name, dtype), size))


def from_half(name, path, size):
    "What a case becomes from a checkpoint."
    return result(trained(load_checkpoint(trainer_of(name, torch.float64), path), size))


def not_a_number(size):
    "What is said where one row of the third batch is broken."
    def broken():
        for i, x in enumerate(DATA.batches(size)):
            if i == 2: x[size - 2, 3] = torch.nan
            yield x
    try: train(Trainer(SAEStack(SAEConfig(d_in=12, d_hidden=20, k=3)), TrainConfig(steps=9)), broken())
    except ValueError as e: return str(e)


def apart(size):
    "What is said where the weights of one rank have drifted."
    trainer = Trainer(SAEStack(SAEConfig(d_in=12, d_hidden=20, k=3)), TrainConfig(steps=9, log_every=3))
    if now().rank == 1: trainer.stack.W.data[0, 0, 0] += 1e-3
    try: train(trainer, DATA.batches(size))
    except ValueError as e: return str(e)


def asked_to_stop(size):
    "Steps after which all ranks stop when one of them is told to."
    def stopping():
        for i, x in enumerate(DATA.batches(size)):
            if i == 9 and now().rank == 1: os.kill(os.getpid(), signal.SIGTERM)
            yield x
    trainer = Trainer(SAEStack(SAEConfig(d_in=12, d_hidden=20, k=3)), TrainConfig(steps=50))
    return train(trainer, stopping()).interrupted, trainer.t


def two(folder, size):
    "What two ranks do."
    out = {"cases": {case: of(*case, size) for case in PRECISE + ROUGH}}
    for i, name in enumerate(FEW):
        save_checkpoint(trained(trainer_of(name, torch.float64), size, HALF), folder / f"{i}.half")
    return out | {"nan": not_a_number(size), "apart": apart(size), "stop": asked_to_stop(size)}


def four(folder, size):
    "What four ranks do, from where two have been."
    return {"cases": {(name, torch.float64): from_half(name, folder / f"{i}.half", size) for i, name in enumerate(FEW)}}


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, size = Path(sys.argv[1]), int(sys.argv[2])
    join()
    found = {2: two, 4: four}[now().size](folder, size)
    if is_main(): torch.save(found | {"moved": now().moved}, folder / f"{now().size}.pt")
    leave()
