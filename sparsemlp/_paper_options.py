"""The keyword arguments of `paper_net` with their types, which are those of the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

import numpy as np
import torch

from sparsemlp._activations import Activation
from sparsemlp._training.losses import ClassificationLoss
from sparsemlp._training.net import LrSchedule
from sparsemlp._training.optimizers import OptimizerName
from sparsemlp._training.session import Precision
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
