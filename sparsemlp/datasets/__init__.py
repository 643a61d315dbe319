"""Synthetic tasks whose difficulty is known, in the style of :mod:`sklearn.datasets`.

In every task the label depends on a few hidden inputs, the *support*, and the other inputs are noise. The
tasks differ in how much the low-order statistics of the data give away: nothing in a sparse parity, a way
in, one input at a time, in a staircase.

The target, the inputs, and the noise have separate random streams. Hence, for one integer ``random_state``, the
target does not depend on ``n_samples``, a smaller sample is the first rows of a larger one, and neither
``flip_y`` nor a ``support`` of your own changes the inputs. For test rows of the same target, make training and
test rows in one call and split them.
"""

from sparsemlp.datasets._continuous import make_interval_parity, make_sparse_polynomial
from sparsemlp.datasets._signs import make_sparse_parity, make_staircase

__all__ = ["make_interval_parity", "make_sparse_parity", "make_sparse_polynomial", "make_staircase"]
