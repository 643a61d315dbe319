"""The paper's net: every option pinned, and its experiment in small."""

from typing import get_type_hints

import pytest

from sparsemlp import SparseInitMLPClassifier, paper_net
from sparsemlp._paper_net import PaperOptions
from sparsemlp.datasets import make_sparse_parity

PINNED = {
    "width": 1000,
    "sparsity": 2,
    "init": "sign",
    "bias_init": "zeros",
    "feature_sampling": "uniform",
    "richness": None,
    "activation": "relu",
    "scaling": None,
    "categorical_features": None,
    "n_members": 1,
    "loss": "hinge",
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "lr_schedule": "constant",
    "weight_averaging": False,
    "weight_decay": 0.01,
    "batch_size": 32,
    "early_stopping": False,
    "search_steps": 0,
    "warm_start": False,
    "class_weight": None,
    "precision": "float32",
}
# They change nothing of the method: where and how loudly it runs, for how long, and what only early stopping uses.
FREE = {
    "max_epochs",
    "max_seconds",
    "device",
    "random_state",
    "verbose",
    "callbacks",
    "validation_fraction",
    "n_iter_no_change",
}


def test_every_option_of_the_method_is_what_the_paper_says():
    parameters = paper_net().get_params()
    assert {name: value for name, value in parameters.items() if name not in FREE} == PINNED


def test_overrides_have_the_types_of_the_classifiers_parameters():
    types = get_type_hints(SparseInitMLPClassifier.__init__)
    assert get_type_hints(PaperOptions) == {
        name: kind for name, kind in types.items() if name not in {"width", "sparsity", "return"}
    }


def test_no_option_comes_from_the_defaults(monkeypatch):
    init = SparseInitMLPClassifier.__init__
    monkeypatch.setattr(init, "__kwdefaults__", dict.fromkeys(init.__kwdefaults__, "changed"))
    monkeypatch.setattr(init, "__defaults__", ("changed",) * len(init.__defaults__))
    parameters = paper_net().get_params()
    assert {name for name, value in parameters.items() if value == "changed"} <= FREE


def test_any_option_can_be_overridden():
    net = paper_net(50, None, batch_size=8, random_state=3, scaling="squash")
    expected = {"width": 50, "sparsity": None, "batch_size": 8, "random_state": 3, "scaling": "squash"}
    assert expected.items() <= net.get_params().items()
    assert isinstance(net, SparseInitMLPClassifier)


def train_on_parity(sparsity, n_samples, seed, max_epochs):
    """Fit (50, 3)-parity; return the net and its test error."""
    X, y = make_sparse_parity(n_samples + 5000, 50, 3, random_state=seed)
    net = paper_net(sparsity=sparsity, max_epochs=max_epochs, device="cpu", random_state=seed)
    net.fit(X[:n_samples], y[:n_samples])
    return net, 1 - net.score(X[n_samples:], y[n_samples:])


@pytest.mark.parametrize("seed", [0, 1])
def test_the_sparse_net_learns_parity_from_a_thousand_samples(seed):
    _, error = train_on_parity(2, 1000, seed, max_epochs=250)  # 8000 steps
    assert error < 0.1


@pytest.mark.parametrize("seed", [0, 1])
def test_the_dense_net_does_not_learn_parity_from_two_hundred(seed):
    net, error = train_on_parity(None, 200, seed, max_epochs=1150)  # as many steps
    assert net.loss_curve_[-1] < 0.1  # it knows them by heart
    assert error > 0.35
