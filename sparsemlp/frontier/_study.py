"""Success frontiers: which runs of a grid learn a sparse parity, and after how many steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch

from sparsemlp._training.devices import resolve_device
from sparsemlp._validation import check_int
from sparsemlp.frontier._runs import Outcome, Run, Setting
from sparsemlp.frontier._scheduling import train_runs


def success_frontier(
    n_features: int = 50,
    n_informative: int = 3,
    n_samples: int | Sequence[int] = (1000,),
    width: int | Sequence[int] = (1000,),
    sparsity: int | Sequence[int | None] | None = (2, None),
    *,
    n_runs: int = 50,
    max_steps: int = 100_000,
    target: str = "parity",
    flip_y: float = 0.0,
    init: str = "sign",
    init_scale: float = 1.0,
    bias_init: str = "auto",
    loss: str = "hinge",
    learning_rate: float = 0.1,
    weight_decay: float = 0.01,
    decay: str = "coupled",
    batch_size: int = 32,
    online: bool = False,
    device: str | torch.device = "auto",
    random_state: int = 0,
    n_threads: int | None = None,
    with_curves: bool = False,
    on_batch: Callable[[pd.DataFrame], None] | None = None,
) -> pd.DataFrame:
    """Train many nets on sparse parity, and say which learn it and after how many steps.

    The paper's protocol (Edelman et al. 2023 [1]_, section 4.1): two-layer ReLU nets with +-1 sparse or torch's
    dense initialisation, plain SGD, and success at a test error of at most 10 % on 10000 fresh rows, evaluated
    every 250 steps. A run is defined by its own seed alone: it has the same data, initialisation and
    batches whatever `n_runs` and whichever other settings are asked for. On a CPU its row is equal to the bit,
    also for another number of threads; on a GPU rounding depends on the runs that train together. The column
    ``device`` says which of the two holds.

    Runs that share `n_features` and width train as members of one network, however much data they have and
    whatever their initialisation. They leave it when they have succeeded, or diverged to NaN, which is a failure.

    Parameters
    ----------
    n_features, n_informative : int, default=50 and 3
        The (n, k) of the parity.
    n_samples, width, sparsity : int or sequence of int, default=(1000,), (1000,) and (2, None)
        The grid: training rows m, hidden neurons r, and inputs s a neuron starts with (None: dense).
    n_runs : int, default=50
        Runs a setting.
    max_steps : int, default=100000
        Steps T after which a run has failed.
    target : {"parity", "staircase", "polynomial", "interval_parity"}, default="parity"
        What the labels are, see :mod:`sparsemlp.datasets`; the others take the defaults of their functions.
    flip_y : float, default=0.0
        Probability with which the label of a training row is wrong, below 0.5. Test labels are never.
    init : {"sign", "ones", "normal", "uniform"}, default="sign"
        Nonzero weights of a sparse start, see :func:`sparsemlp.init.s_hot_`.
    init_scale : float, default=1.0
        Factor on those.
    bias_init : {"auto", "zeros", "uniform"}, default="auto"
        First-layer biases at the start: 0, or uniform between -1/sqrt(s) and 1/sqrt(s), s the number of inputs
        that the neuron starts with (dense: n). "auto" takes zeros with a sparse start and uniform with a dense
        one, which then is ``torch.nn.Linear``'s own initialisation; "zeros" gives the other dense baseline, dense
        weights with zero biases.
    loss : {"hinge", "cross_entropy", "squared"}, default="hinge"
        Training loss.
    learning_rate, weight_decay : float, default=0.1 and 0.01
        Of plain SGD.
    decay : {"coupled", "uncoupled"}, default="coupled"
        What weights shrink by at a step: ``learning_rate * weight_decay``, as in torch, or `weight_decay`, as in
        the paper's predecessor (Barak et al. 2022, arXiv:2207.08799).
    batch_size : int, default=32
        Rows a step, taken from random passes over the training rows.
    online : bool, default=False
        Train on fresh rows at every step; `n_samples` then has no meaning.
    device : str or torch.device, default="auto"
        "auto" takes CUDA, then XPU, then MPS, then the CPU.
    random_state : int, default=0
        Seed of everything.
    n_threads : int, optional
        CPU threads; default: torch's setting.
    with_curves : bool, default=False
        Keep the errors of every run at every evaluation.
    on_batch : callable, optional
        Called with the rows of every finished batch of runs, for progress and for storing them; in the thread
        that trained it, by one thread at a time.

    Returns
    -------
    DataFrame
        A row per run: n_features, n_informative, n_samples (NaN online), width, sparsity (NaN for dense), run,
        succeeded, steps_to_success (NaN where not), train_error and test_error at the end of the run (on
        up to 10000 training rows; NaN online), device ("cpu", "cuda", ...). With ``with_curves=True`` also
        curve, an array of shape (n_evaluations, 3) of steps, train errors (on up to 1000 rows) and test errors.

    Raises
    ------
    TypeError
        If a number that must be an integer is none.
    ValueError
        If a number is out of range; the message names it.

    References
    ----------
    .. [1] B. L. Edelman, S. Goel, S. Kakade, E. Malach, C. Zhang. "Pareto Frontiers in Neural Feature Learning:
       Data, Compute, Width, and Luck". NeurIPS 2023. arXiv:2309.03800.

    Examples
    --------
    >>> from sparsemlp.frontier import success_frontier
    >>> runs = success_frontier(15, 2, 500, width=100, sparsity=(2, None), n_runs=3, max_steps=2000)
    >>> runs.groupby("sparsity", dropna=False).succeeded.mean()
    sparsity
    2.0    1.0
    NaN    1.0
    Name: succeeded, dtype: float64
    """
    check_int("n_runs", n_runs)
    rows = [None] if online else _listed("n_samples", n_samples)
    grid = product(rows, _listed("width", width), _listed("sparsity", sparsity))
    settings = [
        Setting(
            n_features=n_features,
            n_informative=n_informative,
            n_samples=m,
            width=r,
            sparsity=s,
            target=target,
            flip_y=flip_y,
            init=init,
            init_scale=init_scale,
            bias_init=bias_init,
            loss=loss,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            decay=decay,
            batch_size=batch_size,
            max_steps=max_steps,
            random_state=random_state,
        )
        for m, r, s in grid
    ]
    outcomes = train_runs(
        [Run(setting, number) for setting in settings for number in range(n_runs)],
        resolve_device(device),
        n_threads,
        with_curves=with_curves,
        on_batch=None if on_batch is None else lambda batch: on_batch(table_of(batch)),
    )
    return table_of(outcomes)


def table_of(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """Return a row per run."""
    return pd.DataFrame([_row(outcome) for outcome in outcomes])


def _row(outcome: Outcome) -> dict[str, Any]:
    setting = outcome.run.setting
    row: dict[str, Any] = {
        "n_features": setting.n_features,
        "n_informative": setting.n_informative,
        "n_samples": np.nan if setting.n_samples is None else setting.n_samples,
        "width": setting.width,
        "sparsity": np.nan if setting.sparsity is None else float(setting.sparsity),
        "run": outcome.run.number,
        "succeeded": outcome.succeeded,
        "steps_to_success": float(outcome.n_steps) if outcome.succeeded else np.nan,
        "train_error": outcome.train_error,
        "test_error": outcome.test_error,
        "device": outcome.device,
    }
    return row if outcome.curve is None else row | {"curve": np.array(outcome.curve)}


def _listed(name: str, values: Any) -> list:
    listed = list(values) if np.iterable(values) else [values]
    if not listed:
        raise ValueError(f"{name}={values!r} is empty; give at least one value")
    return listed
