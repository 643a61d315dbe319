"""Predictions: independent of how rows are batched, in chunks sized from memory."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.small import labelled_rows, numbered_rows, raw_table, small_classifier, small_regressor
from scipy import sparse

import sparsemlp._prediction
from sparsemlp import SparseInitMLP
from sparsemlp._prediction import CHUNK_BYTES, predict_in_chunks, rows_a_chunk


def outputs(estimator, rows):
    decide = getattr(estimator, "decision_function", estimator.predict)
    return decide(rows)


FITTED = {
    "two classes": lambda: small_classifier(width=(64, 16)).fit(*labelled_rows(300)),
    "three classes": lambda: small_classifier(n_members=3).fit(*labelled_rows(300, 3)),
    "relu, steps and waves": lambda: small_classifier(width=(64, 16), activation="mixed").fit(*labelled_rows(300)),
    "hinge": lambda: small_classifier(loss="hinge", n_members=1).fit(*labelled_rows(300)),
    "regressor": lambda: small_regressor(width=(128, 32)).fit(*numbered_rows(300)),
}


@pytest.mark.parametrize("make", FITTED.values(), ids=FITTED.keys())
def test_predictions_do_not_depend_on_the_batch(make):
    X = raw_table(100)
    estimator = make()
    whole = outputs(estimator, X)
    scale = max(1, np.abs(whole).max())  # the regressor's are in units of y
    for size in (1, 7, 33):
        parts = np.concatenate([outputs(estimator, X[i : i + size]) for i in range(0, 100, size)])
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-6 * scale)
    order = np.random.default_rng(0).permutation(100)
    np.testing.assert_allclose(outputs(estimator, X[order]), whole[order], rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
def test_many_small_chunks_give_what_one_gives(layout, monkeypatch):
    X, y = labelled_rows(300)
    clf = small_classifier().fit(X, y)
    whole = clf.decision_function(X)
    monkeypatch.setattr(sparsemlp._prediction, "CPU_CHUNK_BYTES", 1)
    assert rows_a_chunk(clf.net_.module_) == 32
    np.testing.assert_allclose(clf.decision_function(layout(X)), whole, rtol=0, atol=1e-6)


def module_without_memory(width, n_features=100, n_members=1):
    with torch.device("meta"):  # shapes only
        return SparseInitMLP(n_features, 1, width, None, n_members=n_members)


@pytest.mark.parametrize(("width", "n_members"), [(100_000, 1), (10_000, 8), ((512, 128), 8), (4, 1)])
def test_the_activations_of_a_chunk_fit_the_memory_for_one(width, n_members):
    rows = rows_a_chunk(module_without_memory(width, n_members=n_members))
    first = width if isinstance(width, int) else width[0]
    assert 32 <= rows <= 2**16
    assert rows % 32 == 0
    assert 4 * n_members * first * rows <= CHUNK_BYTES


def test_width_1e5_has_chunks_of_a_few_hundred_rows():
    # 2 GiB hold a million predictions, the network, and several activations of this size
    assert 100 < rows_a_chunk(module_without_memory(100_000)) < 2**31 / 4 / 100_000 / 4


PREDICT_WIDE = """
import resource, sys
import numpy as np
from tests.helpers.small import small_classifier
X = np.random.default_rng(0).standard_normal((20_000, 10))
clf = small_classifier(width=100_000, activation=sys.argv[1], n_members=1, max_epochs=1, batch_size=64)
clf.fit(X[:128], X[:128, 0] > 0)
clf.predict(X)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.parametrize("activation", ["relu", "mixed"])
def test_width_1e5_predicts_within_two_gib(request, activation):
    # all activations at once would be 8 GB
    pytest.importorskip("resource", reason="Windows does not tell the peak of memory")
    command = [sys.executable, "-c", PREDICT_WIDE, activation]
    done = subprocess.run(command, cwd=request.config.rootpath, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2 * 2**30


class OutOfMemory(torch.nn.Module):
    """A module that fails as a GPU without memory does, above some number of rows."""

    def __init__(self, module, max_rows):
        super().__init__()
        self.module, self.max_rows, self.sizes = module, max_rows, []
        self.input_layer, self.output_layer = module.input_layer, module.output_layer

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > self.max_rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.module(x)


def predict(module, X, n_rows):
    return predict_in_chunks(
        module, lambda output: output.double().mean(0), X, lambda x: x.astype(np.float32), n_rows
    )


def test_running_out_of_memory_halves_the_chunk_and_goes_on():
    module = SparseInitMLP(6, 1, 16, 2, generator=torch.Generator().manual_seed(0))
    X = labelled_rows(1000)[0]
    limited = OutOfMemory(module, max_rows=128)
    np.testing.assert_allclose(predict(limited, X, 512), predict(module, X, 512), rtol=0, atol=1e-6)
    assert limited.sizes[:3] == [512, 256, 128]
    assert set(limited.sizes[2:]) <= {128, 1000 % 128 + -(1000 % 128) % 32}


def test_an_estimator_predicts_on_a_device_short_of_memory(monkeypatch):
    X, y = labelled_rows(300)
    clf = small_classifier().fit(X, y)
    whole = clf.decision_function(X)
    forward = SparseInitMLP.forward

    def short(self, x):
        if len(x) > 64:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, x)

    monkeypatch.setattr(SparseInitMLP, "forward", short)
    np.testing.assert_allclose(clf.decision_function(X), whole, rtol=0, atol=1e-6)


def test_no_memory_for_the_smallest_chunk_is_torchs_error():
    module = SparseInitMLP(6, 1, 16, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(torch.OutOfMemoryError):
        predict(OutOfMemory(module, max_rows=0), labelled_rows(100)[0], 512)


def test_rows_are_scaled_a_chunk_at_a_time(monkeypatch):
    X, y = labelled_rows(300)
    clf = small_classifier().fit(X, y)
    sizes = []
    transform = type(clf.scaler_).transform

    def watched(self, rows):
        sizes.append(rows.shape[0])
        return transform(self, rows)

    monkeypatch.setattr(type(clf.scaler_), "transform", watched)
    monkeypatch.setattr(sparsemlp._prediction, "CPU_CHUNK_BYTES", 1)
    clf.predict(sparse.csr_matrix(X))
    assert sum(sizes) == 300
    assert max(sizes) == 32
