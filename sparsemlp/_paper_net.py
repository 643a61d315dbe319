"""The paper's net as a setting of the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
import torch

from sparsemlp._activations import Activation
from sparsemlp._search import PAPER
from sparsemlp._training.losses import ClassificationLoss
from sparsemlp._training.net import LrSchedule
from sparsemlp._training.optimizers import OptimizerName
from sparsemlp._training.session import Precision
from sparsemlp.classifier import SparseInitMLPClassifier
from sparsemlp.init import BiasInit, WeightInit
from sparsemlp.preprocessing import Scaling
from sparsemlp.trees import FeatureSampling


class PaperOptions(TypedDict, total=False):
    """Every parameter of the classifier but `width` and `sparsity`."""

    init: WeightInit
    bias_init: BiasInit
    feature_sampling: FeatureSampling
    activation: Activation
    richness: float | None
    scaling: Scaling | None
    categorical_features: Literal["from_dtype"] | Sequence[int | str | bool] | None
    n_members: int | Literal["auto"]
    loss: ClassificationLoss
    optimizer: OptimizerName
    learning_rate: float | Literal["auto"]
    lr_schedule: LrSchedule
    weight_averaging: bool
    weight_decay: float
    batch_size: int
    max_epochs: int | Literal["auto"]
    max_seconds: float | None
    early_stopping: bool | Literal["out_of_fold"]
    validation_fraction: float
    search_steps: int
    n_iter_no_change: int
    warm_start: bool
    class_weight: Literal["balanced"] | dict | None
    precision: Precision
    device: str | torch.device
    random_state: int | np.random.RandomState | None
    verbose: int
    callbacks: list | None


def paper_net(
    width: int = 1000, sparsity: int | None = 2, **overrides: Unpack[PaperOptions]
) -> SparseInitMLPClassifier:
    """Return a classifier with every option of the paper's net pinned, whatever the defaults are.

    One hidden ReLU layer, +-1 sparse weights, zero biases, hinge loss, plain SGD with learning rate 0.1 and
    weight decay 0.01 (torch's convention), batches of 32, inputs as they are (Edelman et al. 2023, section 4;
    the loss, the sign and the convention are not stated there and follow its predecessor, arXiv 2207.08799,
    and torch).

    Parameters
    ----------
    width : int, default=1000
        Hidden neurons.
    sparsity : int or None, default=2
        Inputs that a neuron starts with. None: the initialisation of ``torch.nn.Linear``, biases included; pass
        ``bias_init="zeros"`` for dense weights with zero biases, which learn no parity of an odd number of inputs
        from the start (each neuron has zero expected gradient there).
    **overrides
        Any other parameter of :class:`SparseInitMLPClassifier`.

    Returns
    -------
    SparseInitMLPClassifier
        Not fitted.

    Examples
    --------
    >>> from sparsemlp import paper_net
    >>> from sparsemlp.datasets import make_sparse_parity
    >>> X, y = make_sparse_parity(1000, n_features=20, n_informative=2, random_state=0)
    >>> net = paper_net(width=100, max_epochs=50, random_state=0).fit(X, y)
    >>> net.score(X, y)
    1.0
    """
    options: dict[str, Any] = {
        "init": "sign",
        "bias_init": "zeros" if sparsity is not None else "uniform",
        "feature_sampling": "uniform",
        "activation": "relu",
        "richness": None,
        "scaling": None,
        "categorical_features": None,
        "n_members": 1,
        "loss": "hinge",
        **PAPER,
        "precision": "float32",
        "max_epochs": 1000,
        "early_stopping": False,
        "search_steps": 0,
        "warm_start": False,
        "class_weight": None,
        **overrides,
    }
    return SparseInitMLPClassifier(width, sparsity, **options)
