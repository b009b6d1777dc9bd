"""Sparse autoencoders trained in parallel and nudged to agree: Mutual Feature Regularization."""

__version__ = "0.1.0"

from mfr.data.synthetic import Superposition, SuperpositionConfig
from mfr.saving import load, save
from mfr.mutual import mutual_penalty
from mfr.sae import Code, SAEConfig, SAEStack
from mfr.similarity import cosine, match, mmcs, nearest
from mfr.train import History, TrainConfig, fit

__all__ = [
    "Code", "History", "SAEConfig", "SAEStack", "Superposition", "SuperpositionConfig", "TrainConfig",
    "cosine", "fit", "load", "match", "mmcs", "mutual_penalty", "nearest", "save",
]
