"""From the table to training data: every row is scaled once, and every target encoded once."""

import numpy as np
import pytest
import torch
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor
from scipy import sparse

from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor
from sparsemlp._data import CheckedRows, EncodedRows
from sparsemlp.preprocessing import InputScaler


@pytest.fixture
def scaled_rows(monkeypatch):
    """The numbers of rows that InputScaler.transform was called with."""
    counts, transform = [], InputScaler.transform

    def counted(self, X):
        counts.append(X.shape[0])
        return transform(self, X)

    monkeypatch.setattr(InputScaler, "transform", counted)
    return counts


@pytest.mark.parametrize(
    ("make", "rows"),
    [
        (small_classifier, labelled_rows),
        (small_regressor, numbered_rows),
        (SparseInitMLPClassifier, labelled_rows),
        (SparseInitMLPRegressor, numbered_rows),
    ],
)
def test_a_fit_scales_every_dense_row_once(make, rows, scaled_rows):
    X, y = rows(120)
    make(max_epochs=2, feature_sampling="trees", bias_init="data").fit(X, y)
    assert scaled_rows == [120]


def test_validation_rows_are_scaled_once_and_by_themselves(scaled_rows):
    X, y = labelled_rows(150)
    small_classifier(max_epochs=2).fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    assert scaled_rows == [100, 50]
    scaled_rows.clear()
    small_classifier(max_epochs=2, early_stopping=True, validation_fraction=0.2).fit(X, y)
    assert scaled_rows == [120, 30]


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_fit_encodes_the_targets_once(monkeypatch, warm_start):
    calls, encode = [], SparseInitMLPClassifier._encode_y
    monkeypatch.setattr(
        SparseInitMLPClassifier, "_encode_y", lambda self, y: (calls.append(len(y)), encode(self, y))[1]
    )
    X, y = labelled_rows(100)
    clf = small_classifier(max_epochs=2, warm_start=warm_start).fit(X, y)
    clf.fit(X, y)
    assert calls == [100, 100]


@pytest.mark.parametrize("as_sparse", [False, True])
def test_the_first_layers_rows_are_rows_of_the_training_set(as_sparse):
    X, y = numbered_rows(60)
    scaler = InputScaler("both").fit(X)
    rows = CheckedRows(sparse.csr_matrix(X) if as_sparse else X, y, np.arange(60.0))
    encoded = EncodedRows(rows, scaler, lambda y: (y, y[:, None]))
    inputs, target, weight, index, _ = encoded.sample(torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(weight, index)
    assert sorted(index) == list(range(60))
    np.testing.assert_array_equal(inputs.numpy(), scaler.transform(X)[index])
    np.testing.assert_array_equal(target[:, 0], y[index])
