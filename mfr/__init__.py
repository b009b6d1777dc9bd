"""Sparse autoencoders trained in parallel and nudged to agree: Mutual Feature Regularization."""

__version__ = "0.1.0"

from mfr.batch import Batch
from mfr.code import Code
from mfr.data.synthetic import Superposition, SuperpositionConfig
from mfr.mutual import Mutual, mutual_penalty
from mfr.reinit import Restarts
from mfr.sae import SAEConfig, SAEStack
from mfr.similarity import cosine, match, mmcs, nearest
from mfr.train import History, TrainConfig, fit
