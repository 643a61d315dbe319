"""What a run is: its setting, its number, the seeds that follow from the two, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sparsemlp._validation import check_int
from sparsemlp.datasets import make_interval_parity, make_sparse_parity, make_sparse_polynomial, make_staircase
from sparsemlp.init import WEIGHT_INITS

MAKERS: dict[str, Callable[..., tuple[NDArray[Any], ...]]] = {
    "parity": make_sparse_parity,
    "staircase": make_staircase,
    "polynomial": make_sparse_polynomial,
    "interval_parity": make_interval_parity,
}
CHOICES = {
    "target": tuple(MAKERS),
    "init": WEIGHT_INITS,
    "bias_init": ("auto", "zeros", "uniform"),
    "loss": ("hinge", "cross_entropy", "squared"),
    "decay": ("coupled", "uncoupled"),
}

#: Purposes of a run's seeds; data depend on the run and the task alone, the others also on the network.
DATA, INITIALISATION, BATCHES = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of a study; its runs differ only in their seeds.

    The fields are the parameters of :func:`success_frontier`, each with a single value. ``n_samples=None`` is
    online training, with fresh rows at every step. ``sparsity=None`` is a dense start, for which `init` and
    `init_scale` mean nothing: they take their defaults, as does a `bias_init` that says what "auto" does, so that
    equal settings compare equal.

    Raises
    ------
    TypeError
        If a number that must be an integer is none.
    ValueError
        If a value is out of range; the message names it.

    Examples
    --------
    >>> from sparsemlp.frontier import Setting
    >>> print(Setting(n_samples=300, width=100))
    parity (50, 3) m=300 width=100 s=2
    >>> print(Setting(n_samples=300, width=100, sparsity=None, bias_init="zeros"))
    parity (50, 3) m=300 width=100 dense, biases zeros
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
    bias_init: str = "auto"
    loss: str = "hinge"
    learning_rate: float = 0.1
    weight_decay: float = 0.01
    decay: str = "coupled"
    batch_size: int = 32
    max_steps: int = 100_000
    random_state: int = 0

    def __post_init__(self) -> None:
        self._check_integers()
        for name, choices in CHOICES.items():
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
            raise ValueError("target='polynomial' cannot be trained online: its coefficients come with the rows")
        if self.sparsity is None:
            object.__setattr__(self, "init", Setting.init)
            object.__setattr__(self, "init_scale", Setting.init_scale)
        if self.bias_init == self._auto_biases:
            object.__setattr__(self, "bias_init", "auto")

    def _check_integers(self) -> None:
        """Check every integer, and make it Python's: torch does not take numpy's everywhere."""
        n_features = check_int("n_features", self.n_features)
        counts = ("n_features", "n_informative", "n_samples", "width", "sparsity", "batch_size", "max_steps")
        for name in (*counts, "random_state"):
            value = getattr(self, name)
            if value is None and name in ("n_samples", "sparsity"):
                continue
            low = 0 if name == "random_state" else 1
            high = n_features if name in ("n_informative", "sparsity") else None
            object.__setattr__(self, name, check_int(name, value, low, high, "n_features"))

    @property
    def _auto_biases(self) -> str:
        return "uniform" if self.sparsity is None else "zeros"

    @property
    def initial_biases(self) -> str:
        """What `bias_init` stands for: "zeros" or "uniform"."""
        return self._auto_biases if self.bias_init == "auto" else self.bias_init

    def __str__(self) -> str:
        rows = "online" if self.n_samples is None else f"m={self.n_samples}"
        start = "dense" if self.sparsity is None else f"s={self.sparsity}"
        if self.bias_init != "auto":
            start += f", biases {self.bias_init}"
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


class Outcome(NamedTuple):
    """How a run ended.

    Attributes
    ----------
    run : Run
    succeeded : bool
    n_steps : int
        Steps until success, divergence to NaN, or the last one.
    train_error, test_error : float
        At the end; the first on up to 10000 training rows with their labels as they are, NaN online.
    curve : list of (int, float, float) or None
        Step, train error and test error at every evaluation, where that was asked for.
    device : str
        Kind of device that the run was trained on. Outcomes of "cpu" are equal to the bit whatever runs train
        together; on others rounding depends on them.

    Examples
    --------
    >>> import torch
    >>> from sparsemlp.frontier import Setting, Run, train_runs
    >>> hopeless = Setting(n_features=10, n_informative=5, n_samples=20, width=5, max_steps=50)
    >>> outcome = train_runs([Run(hopeless, 0)], torch.device("cpu"))[0]
    >>> outcome.succeeded, outcome.n_steps
    (False, 50)
    """

    run: Run
    succeeded: bool
    n_steps: int
    train_error: float
    test_error: float
    curve: list[tuple[int, float, float]] | None
    device: str = "cpu"
