"""Training on CUDA: graphs train as the CPU does, nothing waits or leaks, and fitted nets move between machines.

Where there is no GPU, all runs on a stand-in, which knows a GPU's rules and not its arithmetic or its time.
"""

import gc
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from helpers.small import LooksAtBatches, labelled_rows, small_classifier
from scipy import sparse
from skorch.callbacks import Callback, LRScheduler
from torch.optim.lr_scheduler import StepLR

import sparsemlp._data
import sparsemlp._training.cuda_graphs
from sparsemlp import SparseInitMLP
from sparsemlp._training.devices import has_room
from sparsemlp._training.step import TrainingStep
from sparsemlp.frontier import Run, Setting, train_runs
from sparsemlp.training import train

pytestmark = pytest.mark.usefixtures("gpus")


def on_gpu(X, y, weights=None, **options):
    return small_classifier(**options).set_params(device="cuda").fit(X, y, sample_weight=weights)


def counted(monkeypatch, name):
    """Count the calls of a method of graphs."""
    calls, method = [], getattr(torch.cuda.CUDAGraph, name)

    def counting(graph, **how):
        calls.append(how)
        return method(graph, **how)

    monkeypatch.setattr(torch.cuda.CUDAGraph, name, counting)
    return calls


CASES = [
    {"optimizer": optimizer, "lr_schedule": schedule, "weight_averaging": averaging, "n_members": n_members}
    for optimizer in ("sgd", "adamw")
    for schedule, averaging in (("constant", False), ("cosine", False), ("constant", True))
    for n_members in (1, 3)
]
CASES += [
    {"richness": 0.5, "width": (32, 16)},
    {"precision": "bf16"},
    {"early_stopping": True},
    {"early_stopping": "out_of_fold", "n_members": 3},
    {"optimizer": "sgd", "lr_schedule": "constant", "falling_rate": True},
    {"optimizer": "adamw", "lr_schedule": "constant", "falling_rate": True},
]


@pytest.mark.parametrize("options", CASES, ids=str)
def test_graphs_train_as_the_same_steps_without(options, gpus, monkeypatch):
    options = dict(options)
    falling_rate = options.pop("falling_rate", False)

    def fitted():
        callbacks = [LRScheduler(policy=StepLR, step_size=2, gamma=0.3)] if falling_rate else None
        return on_gpu(X, y, weights, callbacks=callbacks, **options)

    X, y = labelled_rows(131, n_features=7)  # batches of two sizes, batches of odd alignment
    weights = np.random.default_rng(0).random(131) + 0.1
    replays = counted(monkeypatch, "replay")
    graphed = fitted()
    changes_at_every_step = (options.get("optimizer"), options.get("lr_schedule")) == ("sgd", "cosine")
    assert bool(replays) != changes_at_every_step
    assert gpus is None or not gpus.n_made_in_graphs
    monkeypatch.setattr(sparsemlp._training.cuda_graphs, "with_cuda_graph", lambda step: step)
    eager = fitted()
    np.testing.assert_allclose(graphed.loss_curve_, eager.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(graphed.decision_function(X), eager.decision_function(X), atol=1e-4)
    assert not any(isinstance(value, torch.Tensor) for epoch in graphed.history_ for value in epoch.values())


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_loop_of_ones_own_trains_by_graphs_as_it_does_on_the_cpu(optimizer, n_members, gpus, monkeypatch):
    def trained(device):
        generator = torch.Generator().manual_seed(0)
        module = SparseInitMLP(5, 1, (16, 8), 2, n_members=n_members, generator=generator).to(device)

        def next_batch():
            x = torch.randn(8, 5, generator=generator)
            return x.to(device), x[:, :1].to(device)

        train(module, next_batch, 20, loss="squared", learning_rate=0.01, weight_decay=0.1, optimizer=optimizer)
        return module

    replays = counted(monkeypatch, "replay")
    there = trained("cuda")
    assert len(replays) == 19  # the first step is done without a graph
    for ours, theirs in zip(there.parameters(), trained("cpu").parameters(), strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-4, atol=1e-5)


class Sets(Callback):
    """Sets values of the optimizer's groups after every epoch."""

    def __init__(self, **values):
        self.values = values

    def on_epoch_end(self, net, **kwargs):
        for group in net.optimizer_.param_groups:
            group.update(self.values)


@pytest.mark.parametrize("values", [{"lr": 0.0}, {"weight_decay": 50.0}, {"betas": (0.0, 0.5)}], ids=str)
def test_graphs_see_what_callbacks_set(values):
    X, y = labelled_rows()
    options = {"optimizer": "adamw", "lr_schedule": "constant", "bias_init": "uniform"}
    options |= {"batch_size": len(y), "max_epochs": 8}
    on_cpu = small_classifier(callbacks=[Sets(**values)], **options).fit(X, y)
    graphed = on_gpu(X, y, callbacks=[Sets(**values)], **options)
    np.testing.assert_allclose(graphed.loss_curve_, on_cpu.loss_curve_, rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_skorchs_own_path_trains_the_same(optimizer):
    X, y = labelled_rows(150)
    fast = on_gpu(X, y, optimizer=optimizer)
    slow = on_gpu(X, y, optimizer=optimizer, callbacks=[LooksAtBatches()])
    np.testing.assert_allclose(fast.loss_curve_, slow.loss_curve_, rtol=1e-4)


@pytest.fixture
def n_waits(gpus):
    """Says how often the host has waited for the device."""
    if gpus is not None:
        yield lambda: gpus.n_waits
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        yield lambda: sum("synchronizing CUDA operation" in str(warning.message) for warning in caught)
        torch.cuda.set_sync_debug_mode("default")


class CountsWaits(Callback):
    """Asks after every epoch how often the host has waited so far."""

    def __init__(self, n_waits):
        self.n_waits = n_waits

    def on_train_begin(self, net, **kwargs):
        self.counts_ = []

    def on_epoch_end(self, net, **kwargs):
        self.counts_.append(self.n_waits())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(
    ("options", "most"),
    [
        # for the loss, and whether weights to keep are finite
        ({"lr_schedule": "constant"}, 2),
        ({"lr_schedule": "constant", "weight_averaging": True}, 2),
        ({"early_stopping": "out_of_fold", "n_members": 3}, 3),
        ({"early_stopping": True}, 5),
    ],
    ids=str,
)
def test_the_host_waits_a_few_times_an_epoch_however_many_batches_it_has(options, most, optimizer, n_waits):
    X, y = labelled_rows(256)
    for batch_size in (128, 16):
        counts = CountsWaits(n_waits)
        fitted = on_gpu(X, y, callbacks=[counts], optimizer=optimizer, batch_size=batch_size, **options)
        by_epoch = np.diff(dict(fitted.net_.callbacks_)["CountsWaits"].counts_)
        assert by_epoch[1:].max() <= most  # graphs are captured in the first two epochs


def test_where_rows_are_kept_does_not_matter(monkeypatch):
    X, y = labelled_rows()
    there = on_gpu(X, y).loss_curve_
    np.testing.assert_allclose(on_gpu(sparse.csr_matrix(X), y).loss_curve_, there, rtol=1e-5)
    monkeypatch.setattr(sparsemlp._data, "has_room", lambda *_: False)
    np.testing.assert_allclose(on_gpu(X, y).loss_curve_, there, rtol=1e-6)


def test_room_counts_what_torch_keeps_for_itself():
    device = torch.device("cuda")
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    block = torch.empty(int(0.6 * free), dtype=torch.uint8, device=device)
    del block
    assert has_room(device, int(0.3 * free))
    torch.cuda.empty_cache()


@pytest.mark.parametrize("batch_size", [32, 50])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_no_fit_leaves_memory_behind(optimizer, batch_size):
    X, y = labelled_rows(131)

    def allocated(n_fits):
        for _ in range(n_fits):
            on_gpu(X, y, optimizer=optimizer, batch_size=batch_size)
        gc.collect()
        return torch.cuda.memory_allocated()

    before = allocated(2)
    assert allocated(40) <= before  # more fits than torch has streams to hand out


def test_a_default_dtype_of_float64_does_no_harm():
    X, y = labelled_rows()
    torch.set_default_dtype(torch.float64)
    try:
        assert np.isfinite(on_gpu(X, y, optimizer="adamw").loss_curve_).all()
    finally:
        torch.set_default_dtype(torch.float32)


def test_partial_fit_goes_on_from_a_pickle():
    X, y = labelled_rows()
    one = small_classifier(optimizer="adamw", lr_schedule="constant").set_params(device="cuda")
    for _ in range(3):
        one.partial_fit(X, y, classes=[0, 1])
    two = pickle.loads(pickle.dumps(one))
    for net in (one, two):
        net.partial_fit(X, y)
    np.testing.assert_allclose(one.decision_function(X), two.decision_function(X), atol=1e-5)


def test_fits_in_several_threads():
    X, y = labelled_rows(131)
    alone = on_gpu(X, y).loss_curve_
    with ThreadPoolExecutor(3) as pool:
        for fitted in pool.map(lambda _: on_gpu(X, y), range(6)):
            np.testing.assert_allclose(fitted.loss_curve_, alone, rtol=1e-5)


def test_fits_follow_the_callers_stream():
    X, y = labelled_rows(131)
    expected = on_gpu(X, y).loss_curve_
    with torch.cuda.stream(torch.cuda.Stream()):
        np.testing.assert_allclose(on_gpu(X, y).loss_curve_, expected, rtol=1e-5)


def test_a_gpu_full_of_what_torch_keeps_has_room_for_graphs(monkeypatch):
    X, y = labelled_rows(131)
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    cached = torch.empty(int(0.998 * free), dtype=torch.uint8, device="cuda")
    del cached
    replays = counted(monkeypatch, "replay")
    fitted = on_gpu(X, y)
    assert replays
    np.testing.assert_allclose(fitted.loss_curve_, on_gpu(X, y).loss_curve_, rtol=1e-5)


def test_where_there_is_no_room_for_graphs_there_are_none(monkeypatch):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("no room")

    X, y = labelled_rows(131)
    expected = on_gpu(X, y).loss_curve_
    monkeypatch.setattr(torch.cuda.CUDAGraph, "capture_begin", full)
    np.testing.assert_allclose(on_gpu(X, y).loss_curve_, expected, rtol=1e-5)


def test_a_slot_that_is_seen_once_gets_no_graph(monkeypatch):
    X, y = labelled_rows(160)
    captures = counted(monkeypatch, "capture_begin")
    one = small_classifier(optimizer="adamw", lr_schedule="constant").set_params(device="cuda")
    for _ in range(3):
        one.partial_fit(X, y, classes=[0, 1])
    assert not captures
    on_gpu(X, y, lr_schedule="constant")
    assert len(captures) == 5


def test_a_study_on_the_gpu_is_that_on_the_cpu():  # batches are drawn by numpy: the same on both
    setting = Setting(n_features=12, n_informative=2, n_samples=300, width=50, max_steps=750)
    runs = [Run(setting, number) for number in range(3)]
    outcomes = (train_runs(runs, torch.device(name), with_curves=True) for name in ("cpu", "cuda"))
    for here, there in zip(*outcomes, strict=True):
        assert here.succeeded == there.succeeded
        curves = ([point[2] for point in outcome.curve] for outcome in (here, there))
        np.testing.assert_allclose(*curves, atol=0.01)


def test_the_second_gpu_trains():
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    X, y = labelled_rows(131)
    fitted = small_classifier().set_params(device="cuda:1").fit(X, y)
    np.testing.assert_allclose(fitted.loss_curve_, on_gpu(X, y).loss_curve_, rtol=1e-5)


def test_a_study_trains_on_the_callers_gpu(monkeypatch):
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    seen, call = set(), TrainingStep.__call__

    def step(self, batch, rate=None):
        seen.add(batch.x.device)
        call(self, batch, rate)

    monkeypatch.setattr(TrainingStep, "__call__", step)
    setting = Setting(n_features=12, n_informative=2, n_samples=300, width=50, max_steps=5)
    with torch.cuda.device(1):
        train_runs([Run(setting, 0)], torch.device("cuda"))
    assert seen == {torch.device("cuda:1")}


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(
    ("lr_schedule", "activation"), [("constant", "relu"), ("cosine", "relu"), ("constant", "mixed")]
)
def test_graphs_train_as_the_cpu_does(n_members, optimizer, lr_schedule, activation):
    X, y = labelled_rows()
    options = {"n_members": n_members, "optimizer": optimizer, "lr_schedule": lr_schedule, "bias_init": "uniform"}
    options |= {"activation": activation}
    options |= {"batch_size": len(y), "max_epochs": 20}  # a full batch: orders differ between devices
    on_cpu = small_classifier(**options).fit(X, y)
    on_gpu = small_classifier(**options).set_params(device="cuda").fit(X, y)
    np.testing.assert_allclose(on_gpu.loss_curve_, on_cpu.loss_curve_, rtol=1e-5)


def test_a_net_fitted_on_a_gpu_predicts_on_the_cpu(monkeypatch):
    X, y = labelled_rows()
    fitted = small_classifier().set_params(device="cuda").fit(X, y)
    saved = pickle.dumps(fitted)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(saved)
    assert not loaded.net_.module_.input_layer.weight.is_cuda
    np.testing.assert_allclose(loaded.predict_proba(X), fitted.predict_proba(X), atol=1e-5)


def test_training_memory_is_given_back_after_fit():
    X, y = labelled_rows()
    estimator = small_classifier().set_params(device="cuda").fit(X, y)
    estimator.fit(X, y)
    before = torch.cuda.memory_allocated()
    for _ in range(3):
        estimator.fit(X, y)
    assert torch.cuda.memory_allocated() <= before
