"""Warnings show the line of the user that called the package."""

import numpy as np
import pytest
from helpers.small import labelled_rows, small_classifier, small_regressor

X, Y = labelled_rows()
CONSTANT = X * [0.0, *[1.0] * (X.shape[1] - 1)]
OUTLIER = np.where(np.arange(len(X)) == 0, 1e6, X[:, 0])
DIVERGES = {"loss": "squared", "optimizer": "sgd", "learning_rate": 1e9}
CASES = {
    "a chunk": lambda: small_classifier().partial_fit(CONSTANT, Y, classes=[0, 1]),
    "targets in fit": lambda: small_regressor().fit(X, OUTLIER),
    "targets in a chunk": lambda: small_regressor().partial_fit(X, OUTLIER),
    "divergence in fit": lambda: small_classifier(**DIVERGES).fit(X, Y),
    "divergence in a chunk": lambda: small_classifier(**DIVERGES).partial_fit(X, Y, classes=[0, 1]),
}


@pytest.mark.parametrize("call", CASES.values(), ids=CASES.keys())
def test_a_warning_shows_the_line_that_called_the_package(call):
    with pytest.warns() as warned:
        call()
    assert {warning.filename for warning in warned} == {__file__}
