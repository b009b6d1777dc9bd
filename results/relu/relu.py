"""Does clipping values at 0 change the outcome? The same stacks with and without, on three sources, five seeds.

    .venv/bin/python results/relu/relu.py synthetic|gpt2|eeg FOLDER

writes a run to FOLDER; its members.csv is results/relu/SOURCE.csv.
"""
import json
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

from mfr import SAEConfig, TrainConfig
from mfr.arms import Arm
from mfr.data.store import Store
from mfr.study import RunOptions, Study, reconstruction, run


class Kept:
    "A store, the last tenth of its shards held out."

    def __init__(self, folder: Path, name: str):
        shards = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["shards"]
        cut = len(shards) - max(1, len(shards) // 10)
        self.train, self.test = Store(folder, range(cut)), Store(folder, range(cut, len(shards)))
        self.d_in, self.name, self.key = self.train.d, name, {"name": name, "rows": len(self.train)}

    def batches(self, batch_size: int, seed: int = 0, start: int = 0):
        return self.train.batches(batch_size, seed, start)

    def held_out(self, batch_size: int):
        for i in range(len(self.test.shards)): yield from self.test.read(i).float().split(batch_size)


def synthetic(folder: Path) -> Study:
    from mfr.studies.synthetic_study import PRESETS, truths

    arms = both(SAEConfig(64, 128, 8, 5), TrainConfig(2000, lr=0.003))
    return Study("relu on synthetic", PRESETS["demo"].source, arms, (reconstruction, truths), seeds=5)


def gpt2(folder: Path) -> Study:
    from mfr.data.language import CaptureConfig, capture_to_store, pack
    from mfr.data.tiny_gpt2 import load_tiny, python_text

    model, tokenizer = load_tiny()
    sequences = islice(pack(python_text(), 256, tokenizer.encode, tokenizer.eos_token_id), 2400)
    capture_to_store(model, sequences, folder, CaptureConfig("transformer.h.0.mlp"))
    source = Kept(folder, "gpt2")
    arms = both(SAEConfig(source.d_in, 512, (6, 12, 18, 24, 30), 5), TrainConfig(2000))
    return Study("relu on gpt2", source, arms, seeds=5)


def eeg(folder: Path) -> Study:
    from mfr.eeg.corpus import gather
    from mfr.eeg.recordings import EEGConfig
    from mfr.eeg.simulation import SimulationConfig, write

    pairs = write(SimulationConfig(), folder.with_name(folder.name + "-recordings"))
    gather([noisy for noisy, _ in pairs], folder, EEGConfig(rate=128.0))
    source = Kept(folder, "eeg")
    arms = both(SAEConfig(source.d_in, 512, (12, 24, 36, 48, 60), 5), TrainConfig(400))
    return Study("relu on eeg", source, arms, batch_size=128, seeds=5)


def both(sae: SAEConfig, train: TrainConfig) -> dict[str, Arm]:
    "Values as they are, and clipped."
    return {"signed": Arm(replace(sae, relu=False), train), "relu": Arm(replace(sae, relu=True), train)}


if __name__ == "__main__":
    what, out = sys.argv[1], Path(sys.argv[2])
    study = {"synthetic": synthetic, "gpt2": gpt2, "eeg": eeg}[what](out.with_name(out.name + "-data"))
    run(study, RunOptions(out, resume=out.exists()))
