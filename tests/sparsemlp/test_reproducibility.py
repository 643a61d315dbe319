"""The same seed gives the same bits, whatever else happens; global state stays as it was."""

import copy
import random
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.small import labelled_rows, numbered_rows, small_classifier, small_regressor
from skorch.callbacks import Callback, EpochScoring

from sparsemlp.frontier import success_frontier
from sparsemlp.lottery import ticket_experiment

X, Y = labelled_rows()
VARIANTS = {
    "defaults": {},
    "early stopping": {"early_stopping": True},
    "sgd": {"optimizer": "sgd", "bias_init": "uniform"},
    "dense": {"sparsity": None, "scaling": "quantile"},
    "deep": {"width": (32, 16, 8), "n_members": 3},
}
every_variant = pytest.mark.parametrize("parameters", VARIANTS.values(), ids=VARIANTS.keys())


class Looks(Callback):
    """Force skorch's autograd path, by being there."""

    def on_batch_end(self, net, **kwargs):
        pass


def _margin(net, X, y):
    """Score that predicts rows by itself, as some of users' do."""
    return float(np.abs(net.forward(X.X)[0].cpu().numpy()).mean())


def outputs(estimator, rows):
    decide = getattr(estimator, "decision_function", estimator.predict)
    return decide(rows)


@pytest.mark.parametrize(("make", "rows"), [(small_classifier, labelled_rows), (small_regressor, numbered_rows)])
@every_variant
def test_the_same_seed_gives_the_same_bits_whatever_global_generators_do(make, rows, parameters):
    table, y = rows()
    first = outputs(make(**parameters).fit(table, y), table)
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        np.testing.assert_array_equal(outputs(make(**parameters).fit(table, y), table), first)


@every_variant
def test_global_generators_stay_untouched(parameters):
    before = random.getstate(), np.random.get_state()[1].copy(), torch.random.get_rng_state()  # noqa: NPY002
    small_classifier(random_state=None, **parameters).fit(X, Y).predict(X)
    small_classifier(**parameters).fit(X, Y).predict(X)
    assert random.getstate() == before[0]
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), before[2])


def test_other_global_settings_of_torch_stay_untouched():
    def settings():
        return (
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.get_float32_matmul_precision(),
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cuda.matmul.allow_tf32,
            torch.backends.cudnn.allow_tf32,
            torch.get_num_threads(),
        )

    before = settings()
    small_classifier().fit(X, Y).predict(X)
    assert settings() == before


@pytest.mark.parametrize("no_grad", [False, True])
def test_the_callers_gradient_mode_does_not_matter(no_grad):
    expected = small_classifier().fit(X, Y).decision_function(X)
    with torch.set_grad_enabled(not no_grad):
        np.testing.assert_array_equal(small_classifier().fit(X, Y).decision_function(X), expected)


@pytest.fixture
def double_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


DOUBLE = {
    "fast path": {},
    "autograd path": {"callbacks": [Looks()]},
    "scores of validation rows": {"early_stopping": True, "callbacks": [EpochScoring(_margin, name="margin")]},
    "uniform weights and biases": {"init": "uniform", "bias_init": "uniform", "sparsity": 3},
    "normal weights from trees": {"init": "normal", "feature_sampling": "trees", "scaling": "both"},
    "ones and thresholds at rows": {"init": "ones", "bias_init": "data"},
    "races for few features": {"feature_sampling": "trees", "sparsity": 5},
    "dense start": {"sparsity": None},
    "all kinds of neurons, rich": {"activation": "mixed", "richness": 0.7, "width": (30, 9)},
    "sgd, out of fold": {"optimizer": "sgd", "early_stopping": "out_of_fold", "weight_averaging": True},
}


@pytest.mark.parametrize("options", DOUBLE.values(), ids=DOUBLE.keys())
def test_another_default_dtype_does_not_matter(options, request):
    fitted = small_classifier(**options).fit(X, Y)
    request.getfixturevalue("double_by_default")
    restored = copy.deepcopy(fitted)
    other = small_classifier(**options).fit(X, Y)
    np.testing.assert_array_equal(restored.decision_function(X), fitted.decision_function(X))
    np.testing.assert_array_equal(other.decision_function(X), fitted.decision_function(X))
    assert other.net_.module_.input_layer.weight.dtype == torch.float32


def test_runs_and_tickets_do_not_depend_on_the_default_dtype(request):
    def tables():
        runs = success_frontier(8, 2, (100, None), 20, sparsity=(2, None), n_runs=2, max_steps=500, device="cpu")
        return runs, ticket_experiment(8, 2, width=20, n_runs=1, max_steps=250, device="cpu")

    expected = tables()
    request.getfixturevalue("double_by_default")
    for found, before in zip(tables(), expected, strict=True):
        pd.testing.assert_frame_equal(found, before, check_exact=True)


def test_seeds_differ_and_none_is_a_new_one_every_time():
    decisions = [small_classifier(random_state=seed).fit(X, Y).decision_function(X) for seed in (0, 1, None, None)]
    assert len({decision.tobytes() for decision in decisions}) == 4


def test_a_random_state_object_is_drawn_from():
    state = np.random.RandomState(5)
    first, second = (small_classifier(random_state=state).fit(X, Y).decision_function(X) for _ in range(2))
    again = small_classifier(random_state=np.random.RandomState(5)).fit(X, Y).decision_function(X)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(again, first)


def test_a_seed_means_the_same_as_a_python_or_numpy_integer():
    expected = small_classifier(random_state=3).fit(X, Y).decision_function(X)
    np.testing.assert_array_equal(
        small_classifier(random_state=np.int64(3)).fit(X, Y).decision_function(X), expected
    )


SCRIPT = """
import torch
torch.set_num_threads({n_threads})
from skorch.callbacks import Callback
from tests.helpers.small import labelled_rows, small_classifier
X, y = labelled_rows()
print(small_classifier().fit(X, y).decision_function(X).tobytes().hex())
"""


def test_another_process_gives_the_same_bits(request):
    script = SCRIPT.format(n_threads=torch.get_num_threads())
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = small_classifier().fit(X, Y).decision_function(X)
    assert bytes.fromhex(done.stdout) == expected.tobytes()
