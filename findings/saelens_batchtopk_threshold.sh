#!/usr/bin/env bash
# sae-lens 6.54.8 and 6.54.9: the threshold of a BatchTopK SAE, when the scale of its inputs is folded into the weights.
#
# Seen: an SAE trained with normalize_activations="expected_average_only_in" and the default rescale_acts_by_decoder_norm
#   has the same codes, up to the scale, before and after fold_activation_norm_scaling_factor(s) and
#   save_inference_model in 6.54.9. In 6.54.8 the saved JumpReLU threshold is s times what it should be: with s < 1 far
#   more latents are active than in training, with s > 1 far fewer. Nothing in the folder says that inputs were scaled.
# Guess before the run: folding a scale into an SAE leaves which latents are active as it is, in every 6.x version.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
for version in 6.54.8 6.54.9; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" install -q "sae-lens==$version"
done
cat > "$work/fold.py" <<'PY'
import json
import sys
import warnings

warnings.simplefilter("ignore")
import sae_lens
import torch
from sae_lens import SAE, BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig

torch.manual_seed(0)
x = 4 * torch.randn(1000, 16)
found = []
for scale in (0.25, 4.0):
    config = BatchTopKTrainingSAEConfig(d_in=16, d_sae=64, k=4, normalize_activations="expected_average_only_in")
    sae = BatchTopKTrainingSAE(config)
    with torch.no_grad():
        for p in (sae.W_enc, sae.W_dec): p += 0.3 * torch.randn(p.shape)
        z = (scale * x @ sae.W_enc) * sae.W_dec.norm(dim=1)  # what BatchTopK compares in training
        sae.topk_threshold.fill_(z.flatten().topk(4 * len(x)).values.min().item())
        before = (z > sae.topk_threshold).sum(1).float().mean().item()
        sae.fold_activation_norm_scaling_factor(scale)
        sae.save_inference_model("sae")
        after = (SAE.load_from_disk("sae").encode(x) > 0).sum(1).float().mean().item()
    print(f"sae-lens {sae_lens.__version__}, scale {scale}: L0 {before:.2f} in training, {after:.2f} after the fold")
    found.append((before, after))
said = json.load(open("sae/cfg.json"))
print("normalize_activations in cfg.json:", said["normalize_activations"])
same = [abs(before - after) < 0.1 for before, after in found]
sys.exit(same != [sys.argv[1] == "same"] * 2)
PY
cd "$work"
"$work/6.54.8/bin/python" fold.py other
"$work/6.54.9/bin/python" fold.py same
