"""Which latents should the mutual penalty pull together? `python -m benchmarks.same.partners SETTING --seeds 3`.

All assigned pairs, as it is; or those alone that are beyond chance, or the same by their cosine.
"""
from __future__ import annotations

import argparse
import json
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from benchmarks.same.settings import CHOSEN
from benchmarks.worth.contestants import N, trained
from mfr import __version__, mutual
from mfr.agreement import SAME_COSINE
from mfr.metrics import evaluate, recovery

LEAST = {"all": -1.0, "cosine 0.6": 0.6, "the same (cosine 0.8)": SAME_COSINE}


def limited(least: float):
    "A search for matches that leaves out pairs below a cosine."
    def search(D, matching="one-to-one", nearest=0, alive=None):
        n, f, _ = D.shape
        if alive is not None: D = D * alive[..., None]
        every, found = torch.arange(f), []
        for i, j in combinations(range(n), 2):
            partner = mutual._partners(D[i], D[j], matching, nearest)
            near = (D[i] * D[j][partner]).sum(1) >= least
            if alive is not None: near &= alive[i] & alive[j][partner]
            found.append(torch.stack([i * f + every, j * f + partner])[:, near])
        return mutual._listed(torch.cat(found, 1), n, f)
    return torch.no_grad()(search)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setting", choices=CHOSEN)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    setting, own, lines = CHOSEN[asked.setting], mutual.find_matches, []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(asked.seeds):
            source = setting.source(seed, Path(folder))
            for name, least in ({"no penalty": None} | LEAST).items():
                mutual.find_matches = own if least is None else limited(least)
                how = {} if least is None else {"mutual": mutual.Mutual()}
                stack = trained(setting, source, 10 * seed, n=N, **how).eval()
                line = {"seed": seed, "pulled": name, "FVU": float(np.mean(evaluate(stack, source.held_out(1000)).fvu))}
                if setting.truth:
                    line["recovered"] = float(np.mean(recovery(stack.decoder, source.features)["recovered"]))
                lines.append(line)
                print(line, flush=True)
    command = f"python -m benchmarks.same.partners {asked.setting} --seeds {asked.seeds}"
    made = {"command": command, "mfr": __version__, "runs": lines}
    Path(f"results/same/{asked.setting}_partners.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
