"""What substitution does to the loss of a language model, by the cosine of the pair.

    python -m benchmarks.same.loss gpt2 --keep DIR


The output of the module is replaced by the reconstruction of one SAE. Then one latent is left out, and then its partner
in another SAE takes its place. CE kept is the share of the loss that the latent saves and its partner saves too, over
all pairs of a bin.
"""
from __future__ import annotations

import argparse
import json
import shlex
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.same.settings import CHOSEN
from benchmarks.worth.real import MODELS
from mfr import __version__
from mfr.data.language import at_module, evaluating, logits_of, next_token_loss, pack, read_on
from mfr.data.tiny_gpt2 import python_text
from mfr.saving import load
from mfr.substitution import grade_saes

BINS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.001)
EACH, SEQUENCES, LENGTH, LEAST = 24, 48, 128, 20  # pairs of a bin; text; rows in which a latent must be active


def loss_with(model, path: str, tokens: torch.Tensor, x_hat: torch.Tensor) -> float:
    "Summed cross-entropy in nats with other rows in place of the module's."
    with evaluating(model), torch.no_grad(), at_module(model, path, lambda x: x_hat.view_as(x).to(x)):
        return next_token_loss(logits_of(read_on(model, tokens)), tokens).sum().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setting", choices=("gpt2", "smollm2"))
    parser.add_argument("--keep", type=Path, required=True, help="where `python -m benchmarks.same` keeps its stacks")
    parser.add_argument("--sequences", type=int, default=SEQUENCES)
    parser.add_argument("--each", type=int, default=EACH, help="pairs of a bin")
    asked = parser.parse_args()
    folder = asked.keep / asked.setting / "0"
    one, other = (load(folder / side).member(0).eval() for side in ("0", "1"))
    source = CHOSEN[asked.setting].source(0, asked.keep / asked.setting)
    held = list(islice(source.held_out(1000), 20))
    graded = grade_saes([one, other], held)
    pairs, kept = graded.found.pairs[0, 1], graded.kept[0, 1]
    model, tokenizer, path = MODELS[asked.setting]()
    def encode(text): return tokenizer.encode(text, add_special_tokens=False, verbose=False)
    tokens = torch.stack(list(islice(pack(python_text(True), LENGTH, encode), asked.sequences)))
    seen = []
    with evaluating(model), torch.no_grad(), at_module(model, path, lambda x: seen.append(x.detach().clone())):
        clean = next_token_loss(logits_of(read_on(model, tokens)), tokens).sum().item()
    rows = seen[0].flatten(0, 1)
    first = torch.arange(len(rows)) % LENGTH == 0  # is left as it is: SAEs of some models were not trained on it
    codes = [stack.encode(rows).dense()[0] for stack in (one, other)]
    x_hat = one.decode(one.encode(rows))[0]
    x_hat[first] = rows[first]
    spliced = loss_with(model, path, tokens, x_hat)
    lines, gen = [], torch.Generator().manual_seed(0)
    for low, high in zip(BINS, BINS[1:]):
        inside = ((pairs.cosines >= low) & (pairs.cosines < high)).nonzero().flatten()
        active = (codes[0][:, pairs.rows[inside]] != 0).sum(0)
        inside = inside[active >= LEAST]
        inside = inside[torch.randperm(len(inside), generator=gen)[: asked.each]]
        saved, saved_too = [], []
        for p in inside.tolist():
            a, b = codes[0][:, pairs.rows[p]], codes[1][:, pairs.cols[p]]
            on = (a != 0) & ~first
            without = x_hat - torch.where(on, a, 0)[:, None] * one.decoder[0, pairs.rows[p]]
            instead = without + torch.where(on, b, 0)[:, None] * other.decoder[0, pairs.cols[p]]
            gone, back = (loss_with(model, path, tokens, rows) for rows in (without, instead))
            saved.append(gone - spliced)
            saved_too.append(gone - back)
        if not saved: continue
        line = {"from": low, "pairs": len(saved), "CE kept": sum(saved_too) / sum(saved), "saved, nats": sum(saved)}
        line["work kept, one way"] = float(np.median([kept.kept[p, 0].item() for p in inside.tolist()]))
        lines.append(line)
        print(line, flush=True)
    used = [word for word in sys.argv[1:] if word not in ("--keep", str(asked.keep))]
    made = {"command": f"python -m benchmarks.same.loss {shlex.join(used)}", "mfr": __version__,
            "tokens": tokens.numel()}
    made |= {"CE": clean / tokens[:, 1:].numel(), "CE spliced": spliced / tokens[:, 1:].numel()}
    Path(f"results/same/{asked.setting}_loss.json").write_text(json.dumps(made | {"bins": lines}, indent=1) + "\n")


if __name__ == "__main__": main()
