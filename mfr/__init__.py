"""Sparse autoencoders trained in parallel and nudged to agree: Mutual Feature Regularization."""

__version__ = "0.1.0"

from mfr.aux import AuxK, AuxZipf
from mfr.batch import Batch
from mfr.checkpoint import load_checkpoint, save_checkpoint
from mfr.code import Code
from mfr.consensus import Consensus, find_consensus
from mfr.data.synthetic import Superposition, SuperpositionConfig
from mfr.formats import export, load_foreign
from mfr.merging import merge
from mfr.mutual import Mutual, mutual_penalty
from mfr.reinit import Restarts
from mfr.sae import SAEConfig, SAEStack
from mfr.saving import load, save
from mfr.select import RULES, Rule
from mfr.similarity import cosine, match, mmcs, nearest
from mfr.terms import Term
from mfr.train import History, TrainConfig, fit

__all__ = [
    "RULES", "AuxK", "AuxZipf", "Batch", "Code", "Consensus", "History", "Mutual", "Restarts", "Rule", "SAEConfig",
    "SAEStack", "Superposition", "SuperpositionConfig", "Term", "TrainConfig", "cosine", "export", "find_consensus",
    "fit", "load", "load_checkpoint", "load_foreign", "match", "merge", "mmcs", "mutual_penalty", "nearest", "save",
    "save_checkpoint",
]
