"""What training says: nothing by default; with `verbose` a bar, and once what a user should know."""

import numpy as np
import pytest
from helpers.small import labelled_rows, small_classifier
from skorch.callbacks import Callback, EarlyStopping


class NotesBatches(Callback):
    def on_batch_end(self, net, batch, training, **kwargs):
        """A hook that only the autograd path calls."""


def test_nothing_is_said_by_default(capfd):
    small_classifier(callbacks=[NotesBatches()], early_stopping=True).fit(*labelled_rows())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("callbacks", [None, [NotesBatches()]], ids=["fast", "slow"])
def test_verbose_shows_a_progress_bar_and_says_once_if_the_path_is_slow(callbacks, capfd):
    small_classifier(verbose=1, callbacks=callbacks).fit(*labelled_rows())
    out, err = capfd.readouterr()
    assert "5.0/5" in err
    assert "train_loss" in err
    assert out.count("autograd") == (0 if callbacks is None else 1)
    if callbacks:
        assert "NotesBatches" in out


def test_without_a_console_training_goes_on_and_no_bar_is_shown(monkeypatch):
    X, y = labelled_rows()
    expected = small_classifier().fit(X, y).decision_function(X)
    monkeypatch.setattr("sys.stderr", None)
    np.testing.assert_array_equal(small_classifier(verbose=1).fit(X, y).decision_function(X), expected)


def test_the_progress_bar_shows_the_loss_that_decides_when_training_ends(capfd):
    small_classifier(verbose=1, early_stopping="out_of_fold").fit(*labelled_rows())
    assert "out_of_fold_loss=" in capfd.readouterr().err


def test_verbose_says_why_training_ended_early(capfd):
    X, y = labelled_rows()
    cases = {
        "2 times as long as to the smallest out-of-fold loss, of epoch": {"early_stopping": "out_of_fold"},
        "the validation rows saw nothing better than epoch": {"early_stopping": True, "n_iter_no_change": 2},
        "a callback ended it": {"callbacks": [EarlyStopping("train_loss", patience=2, threshold=0.5)]},
    }
    for reason, options in cases.items():
        clf = small_classifier(max_epochs=300, verbose=1, **options).fit(X, y)
        out = capfd.readouterr().out
        assert f"sparsemlp: training ended after {clf.n_iter_} of 300 epochs" in out
        assert reason in out
    small_classifier(verbose=1).fit(X, y)
    assert "training ended" not in capfd.readouterr().out


def test_verbose_says_once_that_validation_rows_decide_nothing(capfd):
    X, y = labelled_rows()
    for options, n_notes in (
        ({}, 1),
        ({"early_stopping": "out_of_fold"}, 1),
        ({"early_stopping": True}, 0),
        ({"callbacks": [EarlyStopping()]}, 0),
        ({"verbose": 0}, 0),
    ):
        small_classifier(**({"verbose": 1} | options)).fit(X, y, X_val=X, y_val=y)
        assert capfd.readouterr().out.count("X_val is scored only") == n_notes
