"""Rows that are equal are on the same side of every split inside a fit."""

import numpy as np
import pytest
from helpers.small import labelled_rows, numbered_rows
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss

from sparsemlp import SparseInitMLPClassifier
from sparsemlp._data import CheckedRows
from sparsemlp._equal_rows import equal_rows
from sparsemlp._splitting import hold_out
from sparsemlp._training.out_of_fold import assign_members

VALUES = st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.0, 1e300, 5e-324, np.nan])


def as_sparse(X):
    return sparse.csr_matrix(X)


@pytest.mark.parametrize("kind", [np.array, np.asfortranarray, as_sparse])
@given(st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=30), st.integers(1, 40))
def test_groups_are_those_of_a_comparison_of_all_values(kind, rows, largest):
    equal = equal_rows(kind(np.array(rows)), largest)
    texts = [str(tuple(value + 0.0 for value in row)) for row in rows]
    counts = {text: texts.count(text) for text in texts}
    if not any(1 < count <= largest for count in counts.values()):
        assert equal is None
        return
    for i, first in enumerate(texts):
        for j, second in enumerate(texts):
            same = i == j or (first == second and counts[first] <= largest)
            assert (equal.group[i] == equal.group[j]) == same
    assert equal.group[equal.first].tolist() == list(range(len(equal.first)))
    assert equal.size.tolist() == np.bincount(equal.group).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_several_blocks_are_compared(dtype):
    X = np.random.default_rng(0).normal(size=(30_000, 20)).astype(dtype)
    assert equal_rows(X, 10) is None
    X[29_999] = X[3]
    equal = equal_rows(X, 10)
    assert len(equal.first) == 29_999
    assert equal.group[29_999] == equal.group[3]


@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("n_rows", [40, 500, 9000])
def test_copies_have_the_same_member_and_members_equally_many_rows(n_rows, stratified):
    X, y = labelled_rows(n_rows)
    copies = np.random.default_rng(0).integers(1, 4, n_rows)
    X, y = np.repeat(X, copies, axis=0), np.repeat(y, copies)
    equal = equal_rows(X, len(y) / 8)
    fold = assign_members(y, 4, 0, stratified=stratified, equal=equal)
    for group in np.split(fold, np.cumsum(copies)[:-1]):
        assert len(set(group.tolist())) == 1
    sizes = np.bincount(fold[fold >= 0], minlength=4)
    assert sizes.max() - sizes.min() <= 6
    assert sizes.sum() == len(y) if n_rows < 9000 else 9000 < sizes.sum() < 11_000


@pytest.mark.parametrize("make_rows", [labelled_rows, numbered_rows])
@pytest.mark.parametrize("kind", [np.array, as_sparse])
def test_copies_are_held_out_together(make_rows, kind):
    X, y = make_rows(200)
    rows = CheckedRows(kind(np.repeat(X, 3, axis=0)), np.repeat(y, 3), np.arange(600.0))
    for part in hold_out(rows, 0.2, 0, stratified=make_rows is labelled_rows):
        numbers = part.weight.astype(int)
        assert np.bincount(numbers // 3).max(initial=0) == np.bincount(numbers // 3)[numbers // 3].min() == 3
        np.testing.assert_array_equal(part.y, y[numbers // 3])
    assert len(part.y) == 120


def test_a_table_of_two_binary_columns_is_split_as_any_other():
    X = np.random.default_rng(0).integers(0, 2, (400, 2)).astype(float)
    y = X[:, 0] != X[:, 1]
    net = SparseInitMLPClassifier(width=64, random_state=0, device="cpu").fit(X, y)
    assert net.score(X, y) == 1
    assert (
        net.history_[-1, "out_of_fold_loss"] < 0.3
    )  # of a member that never saw one of the four cells: above 0.7


@pytest.mark.parametrize("early_stopping", ["out_of_fold", True])
@pytest.mark.parametrize("oversampled", [False, True])
def test_copies_do_not_hide_overfitting(early_stopping, oversampled):
    X, y = make_classification(900, 10, n_informative=4, flip_y=0.3, weights=[0.8], random_state=0)
    X, y, X_test, y_test = X[:300], y[:300], X[300:], y[300:]
    copies = np.where(y == 1, 3, 1) if oversampled else np.full(300, 4)
    options = {"width": (128, 32), "early_stopping": early_stopping, "random_state": 0, "device": "cpu"}
    repeated = SparseInitMLPClassifier(**options).fit(np.repeat(X, copies, axis=0), np.repeat(y, copies))
    weighted = SparseInitMLPClassifier(**options).fit(X, y, sample_weight=copies)
    losses = [log_loss(y_test, net.predict_proba(X_test)) for net in (repeated, weighted)]
    assert losses[0] < losses[1] + 0.1
    assert repeated.best_epoch_ < 30
