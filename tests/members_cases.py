"""Small trainings of four members, or two, on several ranks: `torchrun ... tests/members_cases.py FOLDER M`."""
import sys
from pathlib import Path

import ranks_cases as rc
import torch

from mfr import AuxK, Mutual, Restarts, SAEConfig, TrainConfig, load_checkpoint, save_checkpoint
from mfr.members import part, save_whole
from mfr.ranks import is_main, join, leave, now
from mfr.train import Trainer

MFR = dict(weight=0.01, every=2, warmup=4, dead_after=200)
CASES = {
    "plain": dict(),
    "one-to-one": dict(mutual=Mutual(**MFR, nearest=0, renew=4)),
    "nearest": dict(mutual=Mutual(**MFR, nearest=4)),
    "max": dict(mutual=Mutual(**MFR, matching="max", renew=4), aux=AuxK(k_aux=4, dead_after=120, every=2)),
    "restarts": dict(mutual=Mutual(**MFR), restarts=Restarts(most=2, limit=0.05, window=12, every=4)),
    "two": dict(mutual=Mutual(**MFR, nearest=0, renew=4)),
    "by the loss": dict(mutual=Mutual(**MFR | {"relative_to": "loss", "weight": 0.5})),
}
FEW = ("one-to-one", "max")  # of two ranks by two
STEPS = 16


def trainer_of(name):
    ks = (2, 3) if name == "two" else (2, 3, 3, 4)
    config = SAEConfig(d_in=12, d_hidden=20, k=ks, n=len(ks), tied=name != "max")
    return Trainer(part(config, seed=1).double(), TrainConfig(steps=STEPS, lr=0.01, log_every=4, **CASES[name]))


def of(name, size, folder):
    "Weights are saved, the history is returned; in the middle it is cut off and goes on from its checkpoint."
    folder.mkdir(exist_ok=True)
    trainer = rc.trained(trainer_of(name), size, STEPS // 2)
    save_checkpoint(trainer, folder / f"{name}.safetensors")
    rc.trained(trainer, size, STEPS // 2 + 2)
    if is_main(): save_checkpoint(trainer, folder / f"{name}.safetensors")  # the others are cut off before they do
    trainer = rc.trained(load_checkpoint(trainer_of(name), folder / f"{name}.safetensors"), size, STEPS)
    save_whole(trainer.stack, folder / name)
    return trainer.history.rows, [vars(r) for r in trainer.history.restarts]


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, across, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    join(member_ranks=across)
    found = {name: of(name, size, folder / f"{now().size}-{across}") for name in (CASES if now().size == 2 else FEW)}
    if is_main(): torch.save(found, folder / f"{now().size}-{across}.pt")
    leave()
