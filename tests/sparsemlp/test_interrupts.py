"""Ctrl-C in training: it ends a fit with a warning, twice a search, and leaves a program's own handling alone."""

import signal
import warnings

import numpy as np
import pytest
from helpers.small import labelled_rows, small_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import (
    Callback,
)


class PressesCtrlC(Callback):
    """Send the signal at the beginning of some epochs, counted over all fits."""

    n_epochs = 0

    def __init__(self, epochs):
        self.epochs = epochs

    def on_epoch_begin(self, net, **kwargs):
        PressesCtrlC.n_epochs += 1
        if PressesCtrlC.n_epochs in self.epochs:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def _own_ctrl_c(monkeypatch):
    monkeypatch.setattr(PressesCtrlC, "n_epochs", 0)
    monkeypatch.setattr("sparsemlp._training.interrupts._latest", -np.inf)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_own_ctrl_c")
def test_ctrl_c_ends_training_with_a_warning_and_a_net():
    X, y = labelled_rows()
    clf = small_classifier(callbacks=[PressesCtrlC({3})])
    with pytest.warns(ConvergenceWarning, match=r"interrupted by Ctrl-C.* has the weights of epoch 2 of 5"):
        clf.fit(X, y)
    assert clf.n_iter_ == 2
    assert clf.predict(X).shape == y.shape
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("_own_ctrl_c")
def test_a_second_ctrl_c_ends_the_search():
    X, y = labelled_rows()
    search = GridSearchCV(small_classifier(callbacks=[PressesCtrlC({2, 4})]), {"width": [4, 8]}, cv=3)
    with pytest.warns(ConvergenceWarning, match="interrupted"), pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    assert PressesCtrlC.n_epochs == 4


@pytest.mark.usefixtures("_own_ctrl_c")
def test_a_ctrl_c_long_after_another_ends_one_fit_only(monkeypatch):
    X, y = labelled_rows()
    monkeypatch.setattr("sparsemlp._training.interrupts.SECONDS", 0.0)
    clf = small_classifier(callbacks=[PressesCtrlC({2, 4})])
    for n_epochs in (1, 1, 5):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            assert clf.fit(X, y).n_iter_ == n_epochs


@pytest.mark.usefixtures("_own_ctrl_c")
def test_ctrl_c_starts_no_second_training():
    X, y = np.random.default_rng(0).standard_normal((300, 3)), np.arange(300) % 2
    clf = small_classifier(callbacks=[PressesCtrlC({2})], early_stopping="out_of_fold")
    with pytest.warns(ConvergenceWarning) as warned:
        clf.fit(X, y)
    assert ["Ctrl-C" in str(each.message) for each in warned] == [True]
    assert PressesCtrlC.n_epochs == 2


@pytest.mark.usefixtures("_own_ctrl_c")
def test_a_programs_own_handling_of_ctrl_c_is_left_alone():
    X, y = labelled_rows()
    noted = []
    signal.signal(signal.SIGINT, lambda *args: noted.append(args))
    assert small_classifier(callbacks=[PressesCtrlC({3})]).fit(X, y).n_iter_ == 5
    assert len(noted) == 1
