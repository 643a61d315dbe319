"""The same seeds give the same numbers until a change of the method is meant: what was noted at the last one.

Draws are compared exactly. Trained networks are compared up to what other processors' matrix products round
differently; on one machine they are equal to the bit.
"""

import zlib

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification, make_friedman1

from benchmarks.data.splits import make_split
from benchmarks.models import MODELS
from benchmarks.tabular.tuning import Tuning
from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor
from sparsemlp.frontier import success_frontier

ROUNDING = 2e-3
# torch has drawn integers in another way in older versions
same_draws = pytest.mark.skipif(
    torch.randint(2**31 - 1, (1,), generator=torch.Generator().manual_seed(0)).item() != 818069386,
    reason="this torch draws other random numbers",
)


@same_draws
def test_a_classifier():
    X, y = classification_rows()
    classifier = SparseInitMLPClassifier(random_state=0, device="cpu").fit(X, y)
    expected = [0.009456, 0.005735, 0.184836, 0.792995, 0.010565]
    np.testing.assert_allclose(classifier.predict_proba(X[:5])[:, 1], expected, atol=ROUNDING)
    assert classifier.n_iter_ == 12
    np.testing.assert_allclose(classifier.temperature_[:4], [1.5791, 1.1175, 2.2406, 2.0162], atol=0.01)


@same_draws
def test_a_regressor():
    X, y = make_friedman1(300, noise=1.0, random_state=1)
    regressor = SparseInitMLPRegressor(random_state=0, device="cpu").fit(X, y)
    expected = [16.838873, 19.0163, 17.561749, 14.976555, 16.751516]
    np.testing.assert_allclose(regressor.predict(X[:5]), expected, atol=ROUNDING * y.std())
    assert regressor.n_iter_ == 100


SPARSE_40, SPARSE_100 = [0.4567, 0.3633, 0.4073], [0.4662, 0.3248, 0.4151]
DENSE = {  # "auto" is "zeros" for sparse starts; dense ones then have torch's own biases
    "zeros": ([0.2270, 0.4067, 0.2818], [0.1192, 0.3080, 0.1592]),
    "auto": ([0.4660, 0.3756, 0.3714], [0.4020, 0.3150, 0.3813]),
}


@pytest.mark.parametrize("bias_init", DENSE)
def test_runs_of_a_frontier(bias_init):
    # few steps: after a thousand, rounding on another processor has grown into another outcome
    runs = success_frontier(
        12,
        2,
        (40, 100),
        10,
        sparsity=(2, None),
        n_runs=3,
        max_steps=60,
        bias_init=bias_init,
        batch_size=8,
        device="cpu",
    )
    dense_40, dense_100 = DENSE[bias_init]
    expected = [*SPARSE_40, *dense_40, *SPARSE_100, *dense_100]
    np.testing.assert_allclose(runs.test_error, expected, atol=ROUNDING)


def test_the_first_suggestions_of_a_tuned_study():
    model = MODELS["sparse_mlp"]
    tuning = Tuning(model, ("pol", 1000, 100, "sparse_mlp"), 1000, 20)
    suggestions = []
    for number in range(3):
        trial, _ = tuning.ask(number)
        suggestions.append(trial.params)
        tuning.tell(trial, 0.5 + 0.1 * (number % 2))
    assert suggestions[0] == model.default()
    assert suggestions[1] == {
        "width": "2048",
        "sparsity": 4,
        "feature_sampling": "uniform",
        "scaling": "standard",
        "activation": "tanh",
        "learning_rate": pytest.approx(0.0018839720357962633, rel=1e-9),
        "weight_decay": pytest.approx(0.04821295536234447, rel=1e-9),
    }
    assert suggestions[2] == {
        "width": "[1024, 128]",
        "sparsity": 1,
        "feature_sampling": "trees",
        "scaling": "standard",
        "activation": "box",
        "learning_rate": pytest.approx(0.0040759666202395085, rel=1e-9),
        "weight_decay": pytest.approx(0.4007075971472626, rel=1e-9),
    }


def test_a_split():
    _, y = classification_rows()
    split = make_split("pol", y, 100)
    assert split.pool[:8].tolist() == [106, 267, 62, 203, 43, 136, 123, 97]
    assert split.test[:8].tolist() == [67, 107, 184, 215, 144, 72, 78, 120]
    assert zlib.crc32(split.pool.astype(np.int64).tobytes()) == 3989320572


def classification_rows():
    return make_classification(300, 12, n_informative=5, n_redundant=2, random_state=3)
