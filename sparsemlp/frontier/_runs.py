"""A setting of a study: one setting of task, data, network and training, and the seeds of its runs."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch

from sparsemlp.init import WEIGHT_INITS

TARGETS = ("parity", "staircase", "polynomial", "interval_parity")
LOSSES = ("hinge", "cross_entropy", "squared")
DECAYS = ("coupled", "uncoupled")

#: Purposes of a run's seeds; data depend on the run and the task alone, the others also on the network.
DATA, INITIALISATION, BATCHES = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of a study; its runs differ only in their seeds.

    The fields are the parameters of :func:`success_frontier`, each with a single value. ``n_samples=None`` is
    online training, with fresh rows at every step, and ``sparsity=None`` torch's dense initialisation, for which
    `init` and `init_scale` mean nothing: they take their defaults, so that the same setting is the same setting.

    Raises
    ------
    ValueError
        If a value is out of range; the message names it.

    Examples
    --------
    >>> from sparsemlp.frontier import Setting
    >>> print(Setting(n_samples=300, width=100))
    parity (50, 3) m=300 width=100 s=2
    """

    n_features: int = 50
    n_informative: int = 3
    n_samples: int | None = 1000
    width: int = 1000
    sparsity: int | None = 2
    target: str = "parity"
    flip_y: float = 0.0
    init: str = "sign"
    init_scale: float = 1.0
    loss: str = "hinge"
    learning_rate: float = 0.1
    weight_decay: float = 0.01
    decay: str = "coupled"
    batch_size: int = 32
    max_steps: int = 100_000
    random_state: int = 0

    def __post_init__(self) -> None:
        for name in ("n_features", "n_informative", "n_samples", "width", "max_steps", "batch_size"):
            value = getattr(self, name)
            if value is None and name == "n_samples":
                continue
            if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name}={value!r} must be a positive int")
            object.__setattr__(self, name, int(value))  # torch does not take numpy's everywhere
        if not isinstance(self.random_state, Integral) or isinstance(self.random_state, bool):
            raise ValueError(f"random_state={self.random_state!r} must be an int, which seeds every run")
        if self.n_informative > self.n_features:
            raise ValueError(f"n_informative={self.n_informative} is more than n_features={self.n_features}")
        if self.sparsity is not None:
            if not isinstance(self.sparsity, Integral) or not 1 <= self.sparsity <= self.n_features:
                raise ValueError(f"sparsity={self.sparsity} must be between 1 and n_features={self.n_features}")
            object.__setattr__(self, "sparsity", int(self.sparsity))
        for name, choices in (("target", TARGETS), ("init", WEIGHT_INITS), ("loss", LOSSES), ("decay", DECAYS)):
            if getattr(self, name) not in choices:
                known = " or ".join([", ".join(map(repr, choices[:-1])), repr(choices[-1])])
                raise ValueError(f"{name}={getattr(self, name)!r} is unknown; choose {known}")
        for name in ("init_scale", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay={self.weight_decay} must not be negative")
        if not 0 <= self.flip_y < 0.5:
            raise ValueError(f"flip_y={self.flip_y} must be at least 0 and below 0.5")
        if self.target == "polynomial" and self.n_samples is None:
            raise ValueError("target='polynomial' cannot be drawn online: its coefficients come with the rows")
        if self.sparsity is None:
            object.__setattr__(self, "init", Setting.init)
            object.__setattr__(self, "init_scale", Setting.init_scale)

    def __str__(self) -> str:
        rows = "online" if self.n_samples is None else f"m={self.n_samples}"
        start = "dense" if self.sparsity is None else f"s={self.sparsity}"
        return f"{self.target} ({self.n_features}, {self.n_informative}) {rows} width={self.width} {start}"

    @property
    def sgd_weight_decay(self) -> float:
        """The weight decay in torch's convention, which multiplies it by the learning rate."""
        return self.weight_decay if self.decay == "coupled" else self.weight_decay / self.learning_rate

    def seed(self, run: int, purpose: int) -> np.random.SeedSequence:
        """Return the seed of one run for a purpose."""
        entropy = [self.random_state, run, purpose, self.n_features, self.n_informative]
        if purpose != DATA:
            entropy += [self.width, self.sparsity or 0]
        return np.random.SeedSequence(entropy)

    def torch_generator(self, run: int, purpose: int) -> torch.Generator:
        """Return a torch generator with that seed."""
        return torch.Generator().manual_seed(int(self.seed(run, purpose).generate_state(1)[0]))


class Run(NamedTuple):
    """One run of a setting, by its number: the two are all that its data, initialisation and batches depend on.

    Examples
    --------
    >>> from sparsemlp.frontier import Setting, Run
    >>> Run(Setting(width=100), 3).number
    3
    """

    setting: Setting
    number: int
