"""Predictions: independent of how rows are batched, in chunks sized from memory."""

import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from helpers.small import labelled_rows, numbered_rows, raw_table, small_classifier, small_regressor
from scipy import sparse

import sparsemlp._prediction
from sparsemlp import SparseInitMLP
from sparsemlp._prediction import CHUNK_BYTES, predict_in_chunks, rows_a_chunk, rows_to_share


@contextmanager
def torch_threads(n):
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
X = np.random.default_rng(0).standard_normal((10_000, 10))
clf = small_classifier(width=100_000, activation=sys.argv[1], n_members=1, max_epochs=1, batch_size=64)
clf.fit(X[:128], X[:128, 0] > 0)
clf.predict(X)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.parametrize("activation", ["relu", "mixed"])
def test_width_1e5_predicts_within_two_gib(request, activation):
    # all activations at once would be 4 GB
    pytest.importorskip("resource", reason="Windows does not tell the peak of memory")
    command = [sys.executable, "-c", PREDICT_WIDE, activation]
    done = subprocess.run(command, cwd=request.config.rootpath, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2 * 2**30


NO_MEMORY = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory"),
    "cpu": RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
}


class OutOfMemory(torch.nn.Module):
    """A module that fails as a device without memory does, above some number of rows."""

    def __init__(self, module, max_rows, error=NO_MEMORY["cuda"]):
        super().__init__()
        self.error = error
        self.module, self.max_rows, self.sizes = module, max_rows, []
        self.input_layer, self.output_layer = module.input_layer, module.output_layer

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > self.max_rows:
            raise self.error
        return self.module(x)


def predict(module, X, n_rows):
    return predict_in_chunks(
        module, lambda output: output.double().mean(0), X, lambda x: x.astype(np.float32), n_rows
    )


@pytest.mark.parametrize("error", NO_MEMORY.values(), ids=NO_MEMORY.keys())
def test_running_out_of_memory_halves_the_chunk_and_goes_on(error):
    module = SparseInitMLP(6, 1, 16, 2, generator=torch.Generator().manual_seed(0))
    X = labelled_rows(1000)[0]
    limited = OutOfMemory(module, max_rows=128, error=error)
    with torch_threads(1):  # a device has one, too
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


@pytest.mark.parametrize("n_threads", [1, 2])
def test_many_chunks_are_scaled_at_once_and_give_the_same_bits(n_threads, monkeypatch):
    X, y = labelled_rows(300)
    clf = small_classifier(width=(64, 16)).fit(X, y)
    many = np.tile(X, (4, 1))
    monkeypatch.setattr(sparsemlp._prediction, "MAX_SHARED_ROWS", 32)
    one_by_one = clf.predict_proba(many)
    sizes, rows, transform = [], [], type(clf.scaler_).transform
    monkeypatch.setattr(
        type(clf.scaler_), "transform", lambda *args: sizes.append(len(args[1])) or transform(*args)
    )
    forward = SparseInitMLP.forward
    monkeypatch.setattr(SparseInitMLP, "forward", lambda self, x: rows.append(len(x)) or forward(self, x))
    monkeypatch.setattr(sparsemlp._prediction, "rows_to_share", lambda module: 32)
    monkeypatch.setattr("sparsemlp._base.rows_to_share", lambda module: 32)
    monkeypatch.setattr(sparsemlp._prediction, "MAX_SHARED_ROWS", 4096)
    with torch_threads(n_threads):
        np.testing.assert_array_equal(clf.predict_proba(many), one_by_one)
    n_chunks = {1: 4, 2: 2}[n_threads]  # of 38, a thread takes at least 8 times
    assert set(sizes) == {32 * n_chunks, 1200 % (32 * n_chunks)}
    assert max(rows) == 32


METHODS = ("predict", "decision_function", "predict_proba", "predict_log_proba")


@pytest.mark.parametrize("make", FITTED.values(), ids=FITTED.keys())
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix])
def test_predictions_are_equal_to_the_bit_whatever_the_number_of_threads(make, layout, monkeypatch):
    X = raw_table(300)
    estimator = make()
    if layout is not np.asarray:
        X = layout(np.nan_to_num(X))
    monkeypatch.setattr(sparsemlp._prediction, "MAX_SHARED_ROWS", 64)
    for method in [name for name in METHODS if hasattr(estimator, name)]:
        with torch_threads(1):
            alone = getattr(estimator, method)(X)
        for n_threads in (2, 3):
            with torch_threads(n_threads):
                np.testing.assert_array_equal(getattr(estimator, method)(X), alone)


@pytest.mark.parametrize("width", [4, (512, 128), 100_000])
def test_threads_share_rows_in_chunks_whose_values_fit_a_cache(width):
    module = SparseInitMLP(10, 1, width, 2, n_members=2)
    n_hidden = width if isinstance(width, int) else sum(width)
    rows = rows_to_share(module)
    assert rows % 32 == 0
    assert rows <= max(32, 2**18 / n_hidden)
    assert rows <= min(rows_a_chunk(module), 4096)


def test_threads_compute_alone_and_the_caller_is_left_as_it_was(monkeypatch):
    X, y = labelled_rows(300)
    clf = small_classifier().fit(X, y)
    forward, seen, denormal = SparseInitMLP.forward, [], torch.tensor([1e-40])

    def watched(self, x):
        seen.append((torch.get_num_threads(), threading.current_thread().name[:9], (denormal * 0.5).item()))
        return forward(self, x)

    monkeypatch.setattr(SparseInitMLP, "forward", watched)
    monkeypatch.setattr(sparsemlp._prediction, "MAX_SHARED_ROWS", 32)
    with torch_threads(3):
        clf.predict(X)
        assert torch.get_num_threads() == 3
    assert len(seen) == 10
    assert set(seen) == {(1, "sparsemlp", 0.0)}
    assert (denormal * 0.5).item() > 0


def test_columns_of_the_smallest_numbers_are_scaled_as_in_fit():
    X, y = labelled_rows(300)
    clf = small_classifier(scaling="squash").fit(X, y)
    tiny = X * 2.0**-1030  # denormal in float64
    # a denormal number has fewer digits
    closely = {"rtol": 0, "atol": 1e-3}
    again = small_classifier(scaling="squash").fit(tiny, y)
    np.testing.assert_allclose(again.decision_function(tiny), clf.decision_function(X), **closely)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.enable_grad, lambda: torch.device("meta")])
def test_modes_of_the_callers_thread_change_nothing(mode):
    X, y = labelled_rows(300)
    clf = small_classifier().fit(X, y)
    whole = clf.predict_proba(X)
    with mode():
        np.testing.assert_array_equal(clf.predict_proba(X), whole)


@pytest.mark.parametrize("row", [40, 999])
def test_an_error_in_a_thread_is_raised_and_ends_all_threads(row, monkeypatch):
    X, y = labelled_rows(1000)
    clf = small_classifier(scaling=None).fit(X, y)
    X[row] = 1e300
    monkeypatch.setattr(sparsemlp._prediction, "MAX_SHARED_ROWS", 32)
    with torch_threads(2), pytest.raises(ValueError, match="too large for float32"):
        clf.predict(X)
    assert not any(thread.name.startswith("sparsemlp") for thread in threading.enumerate())


def test_ctrl_c_ends_a_prediction(monkeypatch):
    X, y = labelled_rows(1000)
    clf = small_classifier().fit(X, y)
    whole = clf.predict(X)
    calls, forward, done = [], SparseInitMLP.forward, threading.Event()

    def interrupting(self, x):
        calls.append(len(x))
        if len(calls) == 3:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        if len(calls) >= 3:
            done.wait(0.05)  # for the main thread to take notice
        return forward(self, x)

    monkeypatch.setattr(SparseInitMLP, "forward", interrupting)
    monkeypatch.setattr(sparsemlp._prediction, "MAX_SHARED_ROWS", 32)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # programs in the background ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            clf.predict(X)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert len(calls) < 32  # as many chunks as there are
    assert not any(thread.name.startswith("sparsemlp") for thread in threading.enumerate())
    monkeypatch.setattr(SparseInitMLP, "forward", forward)
    np.testing.assert_array_equal(clf.predict(X), whole)


FORKED = """
import multiprocessing, sys
import numpy as np
import torch
from helpers.small import labelled_rows, small_classifier

torch.set_num_threads(2)
X, y = labelled_rows(1000)
clf = small_classifier().fit(X, y)
torch.rand(1000, 1000).sin_()  # starts OpenMP's threads, which a fork does not copy
here = clf.predict_proba(X)
with multiprocessing.get_context("fork").Pool(2) as pool:
    for there in pool.map(clf.predict_proba, [X, X], chunksize=1):
        assert np.array_equal(there, here)
print("equal")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks are the way of Linux")
def test_a_forked_process_predicts_the_same(request):
    code = f"import sys; sys.path[:0] = ['.', 'tests']\n{FORKED}"
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=request.config.rootpath, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("equal\n", "")
