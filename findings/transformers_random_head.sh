#!/usr/bin/env bash
# transformers 5.23.0, torch 2.13.0: a causal model whose file lacks the head is opened with a random one, another each time.
#
# Seen: LlamaModel (untied) is saved by save_pretrained and opened by AutoModelForCausalLM. There is no error; a report is
#   logged. lm_head.weight is drawn anew at each call, so two calls in one process give two losses on the same text.
#   A seed fixed before each call makes them alike, so the head depends on the state of the random generator.
# Guess before the run: from_pretrained raises for missing weights of a model for inference, or starts the head at zero.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 numpy==2.4.6
cd "$work"
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PY'
import sys

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaModel

torch.manual_seed(0)
config = LlamaConfig(vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                     num_key_value_heads=2, tie_word_embeddings=False)
LlamaModel(config).save_pretrained("model")
tokens = torch.arange(40)[None]
first, second = (AutoModelForCausalLM.from_pretrained("model").eval() for _ in range(2))
torch.manual_seed(1)
third = AutoModelForCausalLM.from_pretrained("model").eval()
torch.manual_seed(1)
fourth = AutoModelForCausalLM.from_pretrained("model").eval()
with torch.no_grad(): losses = [m(tokens, labels=tokens).loss.item() for m in (first, second, third, fourth)]
print("classes:", {type(m).__name__ for m in (first, second)}, "losses:", losses)
alike = all(a.equal(b) for a, b in zip(first.model.parameters(), second.model.parameters()))
heads = first.lm_head.weight.equal(second.lm_head.weight), third.lm_head.weight.equal(fourth.lm_head.weight)
print("bodies alike:", alike, "- heads alike:", heads[0], "- after one seed:", heads[1])
sys.exit(not (alike and heads == (False, True) and losses[0] != losses[1]))
PY
