"""What `speed` times: one training problem, and the ways in which a user could have it solved.

A contender is a function from a problem to a function that trains once; making it is not timed, calling it is.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from sparsemlp import SparseInitMLPClassifier, paper_net

Train = Callable[[], Any]


@dataclass(frozen=True)
class Problem:
    """Rows, a network and an optimizer; the same for every contender."""

    optimizer: str  # "sgd" with the paper's options, or "adamw" with torch's defaults
    n_samples: int
    n_features: int
    widths: tuple[int, ...]
    batch_size: int
    n_epochs: int
    n_members: int = 1
    device: str = "cpu"
    precision: str = "float32"

    @property
    def n_steps(self) -> int:
        """Steps of one training."""
        return self.n_epochs * -(-self.n_samples // self.batch_size)

    def data(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return random signs as inputs, and labels that depend on the first two."""
        rng = np.random.default_rng(0)
        X = (2 * rng.integers(0, 2, (self.n_samples, self.n_features)) - 1).astype(np.float32)
        return X, (X[:, 0] * X[:, 1] > 0).astype(np.int64)


def sparsemlp(problem: Problem) -> Train:
    """Train by the public estimator: `paper_net`, or one relu net on inputs as they are at a constant rate."""
    X, y = problem.data()
    shared: dict[str, Any] = {
        "max_epochs": problem.n_epochs,
        "batch_size": problem.batch_size,
        "n_members": problem.n_members,
        "precision": problem.precision,
        "device": problem.device,
        "random_state": 0,
    }
    if problem.optimizer == "sgd":
        estimator = paper_net(problem.widths[0], **shared)
    else:
        shared |= {"activation": "relu", "scaling": None, "bias_init": "zeros"}
        estimator = SparseInitMLPClassifier(
            problem.widths, lr_schedule="constant", weight_averaging=False, early_stopping=False, **shared
        )
    return lambda: estimator.fit(X, y)


def sparsemlp_bf16(problem: Problem) -> Train:
    """Train by the public estimator with its products in bfloat16."""
    return sparsemlp(replace(problem, precision="bf16"))


def each_member(make: Callable[[Problem], Train]) -> Callable[[Problem], Train]:
    """Return a contender that trains every member in a fit of its own, one after the other."""

    def made(problem: Problem) -> Train:
        train = make(replace(problem, n_members=1))
        return lambda: [train() for _ in range(problem.n_members)]

    return made


def skorch_path(problem: Problem) -> Train:
    """Train by skorch's NeuralNetClassifier as its documentation shows it."""
    X, y = problem.data()
    optimizer, options = _optimizer(problem)
    net = NeuralNetClassifier(
        _Perceptron,
        module__n_features=problem.n_features,
        module__widths=problem.widths,
        criterion=nn.CrossEntropyLoss,
        optimizer=optimizer,
        max_epochs=problem.n_epochs,
        batch_size=problem.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        device=problem.device,
        **{f"optimizer__{name}": value for name, value in options.items() if name != "lr"},
        lr=options["lr"],
    )
    return lambda: net.fit(X, y)


def scikit_learn(problem: Problem) -> Train:
    """Train by scikit-learn's MLPClassifier; its Adam has no decoupled weight decay."""
    X, y = problem.data()
    estimator = MLPClassifier(
        problem.widths,
        solver="sgd" if problem.optimizer == "sgd" else "adam",
        learning_rate_init=0.1 if problem.optimizer == "sgd" else 1e-3,
        momentum=0.0,
        alpha=0.01,
        batch_size=problem.batch_size,
        max_iter=problem.n_epochs,
        n_iter_no_change=problem.n_epochs + 1,
        tol=0.0,
        random_state=0,
    )

    def train() -> None:
        with warnings.catch_warnings():  # that it has not converged after so few epochs
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(X, y)

    return train


def torch_loop(problem: Problem) -> Train:
    """Train by the loop that one writes by hand: autograd, a fused optimizer, batches sliced from tensors."""
    X, y = (torch.from_numpy(values).to(problem.device) for values in problem.data())
    target = y.float()
    loss_of = nn.BCEWithLogitsLoss()

    def train() -> None:
        module = _Perceptron(problem.n_features, problem.widths, n_outputs=1).to(problem.device)
        make, options = _optimizer(problem)
        optimizer = make(module.parameters(), fused=True, **options)
        for _ in range(problem.n_epochs):
            order = torch.randperm(len(X), device=X.device)
            for rows in order.split(problem.batch_size):
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(module(X[rows])[:, 0], target[rows])
                loss.backward()
                optimizer.step()
        if problem.device != "cpu":
            torch.cuda.synchronize()

    return train


def floor(problem: Problem) -> Train:
    """Do the step's matrix products alone, on buffers that stay: forward, backward, and the gradients.

    With plain SGD the gradient of a weight matrix is accumulated into it. The products of the single output are
    left out, so that the floor is what no implementation can avoid.
    """
    sizes = (problem.n_features, *problem.widths)
    n_rows, n_members = problem.batch_size, problem.n_members
    shape = (n_members,) if n_members > 1 else ()
    x = [torch.randn(*shape, n_rows, size, device=problem.device) for size in sizes]
    weights = [torch.randn(*shape, b, a, device=problem.device) for a, b in pairwise(sizes)]
    weights[0] = torch.randn_like(weights[0].mT.contiguous()).mT  # the faster layout where inputs are few
    gradients = [torch.empty_like(weight) for weight in weights]
    deltas = [1e-6 * torch.randn_like(values) for values in x]
    product = torch.bmm if n_members > 1 else torch.mm

    def step() -> None:
        for i, weight in enumerate(weights):
            product(x[i], weight.mT, out=deltas[i + 1])
        for i in range(len(weights) - 1, -1, -1):
            if i:
                product(deltas[i + 1], weights[i], out=deltas[i])
            if problem.optimizer != "sgd":
                product(deltas[i + 1].mT, x[i], out=gradients[i])
            elif n_members > 1:
                weights[i].baddbmm_(deltas[i + 1].mT, x[i], beta=0.999, alpha=1e-9)
            else:
                weights[i].addmm_(deltas[i + 1].mT, x[i], beta=0.999, alpha=1e-9)

    return _repeated(step, problem)


def memory_alone(problem: Problem) -> Train:
    """Read and write what an update changes, once a step: every weight, and AdamW's two moments of it.

    On a GPU this may take longer than the products, where batches are small.
    """
    n_weights = sum(a * b for a, b in pairwise((problem.n_features, *problem.widths)))
    n_arrays = 1 if problem.optimizer == "sgd" else 3
    values = torch.zeros(n_arrays * problem.n_members * n_weights, device=problem.device)
    return _repeated(lambda: values.mul_(0.999), problem)


def _repeated(step: Callable[[], Any], problem: Problem) -> Train:
    run = step if problem.device == "cpu" else _as_graph(step)

    def train() -> None:
        for _ in range(problem.n_steps):
            run()
        if problem.device != "cpu":
            torch.cuda.synchronize()

    return train


def _as_graph(step: Callable[[], Any]) -> Callable[[], None]:
    """Return the step as a CUDA graph: launched from Python, its products would be no floor."""
    step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def replay(step: Any = step) -> None:  # a graph has the addresses of the step's buffers, and keeps none
        graph.replay()

    return replay


def peers_at_their_defaults() -> dict[str, Callable[[], Any]]:
    """Return classifiers of other packages that are installed, by name, as their defaults have them."""
    if find_spec("pytabkit") is None:
        return {}
    from pytabkit import RealMLP_TD_Classifier, TabM_D_Classifier

    options = {"device": "cpu", "random_state": 0}
    return {
        "RealMLP (pytabkit)": lambda: RealMLP_TD_Classifier(**options),
        "TabM (pytabkit)": lambda: TabM_D_Classifier(**options),
    }


class _Perceptron(nn.Sequential):
    """The network as one writes it in torch."""

    def __init__(self, n_features: int, widths: Sequence[int], n_outputs: int = 2) -> None:
        layers: list[nn.Module] = []
        for a, b in pairwise((n_features, *widths)):
            layers += [nn.Linear(a, b), nn.ReLU()]
        super().__init__(*layers, nn.Linear(widths[-1], n_outputs))


def _optimizer(problem: Problem) -> tuple[Any, dict[str, float]]:
    if problem.optimizer == "sgd":
        return torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.01}
    return torch.optim.AdamW, {"lr": 1e-3, "weight_decay": 0.01}
