"""The closed-form training step against autograd and torch.optim, and both paths of an estimator's training."""

import copy
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.small import LooksAtBatches, labelled_rows, numbered_rows, small_classifier, small_regressor
from skorch.callbacks import Callback
from torch.profiler import ProfilerActivity, profile

import sparsemlp._training.cuda_graphs
import sparsemlp._training.session
import sparsemlp.module
from sparsemlp import SparseInitMLP
from sparsemlp._training.losses import make_loss
from sparsemlp._training.step import BatchBuffers, TrainingStep

BATCH = 8
LOSSES = {
    "squared": (make_loss("squared"), 1),
    "hinge": (make_loss("hinge", 2), 1),
    "hinge of three classes": (make_loss("hinge", 3), 3),
    "binary cross-entropy": (make_loss("cross_entropy", 2), 1),
    "cross-entropy": (make_loss("cross_entropy", 3), 3),
}
OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, weight_decay=0.05),
    "sgd with momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.05),
    "fused adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.05, fused=True),
}


def make_module(width=(12,), n_outputs=1, n_members=1, activation="relu"):
    options = {"bias_init": "uniform", "activation": activation, "generator": torch.Generator().manual_seed(0)}
    return SparseInitMLP(5, n_outputs, width, 2, n_members=n_members, **options).double()


def draw_slot(loss_name, n_outputs, n_members, weighted, generator):
    shape = (BATCH,) if n_members == 1 else (n_members, BATCH)
    x = torch.randn(*shape, 5, dtype=torch.float64, generator=generator)
    classes = torch.randint(max(n_outputs, 2), shape, generator=generator)
    target = F.one_hot(classes, max(n_outputs, 2))[..., -n_outputs:].double()
    if loss_name.startswith("hinge"):
        target = 2 * target - 1
    weight = torch.rand(*shape, 1, dtype=torch.float64, generator=generator) * 2 if weighted else None
    return BatchBuffers(x, target, weight, torch.empty_like(target))


def reference_step(module, loss, optimizer, batch):
    """Each member's objective is the mean over its batch of weight * loss."""
    target = batch.target if batch.target.ndim == 3 else batch.target[None]
    losses = loss.value(module(batch.x), target)
    if batch.weight is not None:
        losses = losses * batch.weight.reshape(losses.shape)
    optimizer.zero_grad()
    losses.mean(dim=1).sum().backward()
    optimizer.step()


def assert_same_parameters(module, reference, **tolerance):
    for ours, theirs in zip(module.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, **tolerance)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(
    ("width", "n_members"), [((12,), 1), ((12,), 3), ((12, 6), 3), ((12, 6, 4), 1), ((12, 6, 4), 3)], ids=str
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss_name", LOSSES)
def test_the_step_is_that_of_autograd_and_torch_optim(loss_name, optimizer, width, n_members, weighted):
    loss, n_outputs = LOSSES[loss_name]
    module = make_module(width, n_outputs, n_members)
    reference = copy.deepcopy(module)
    step = TrainingStep(module, loss, OPTIMIZERS[optimizer](module.parameters()), BATCH)
    reference_optimizer = OPTIMIZERS[optimizer.removeprefix("fused ")](reference.parameters())
    generator = torch.Generator().manual_seed(1)
    for i in range(8):
        batch = draw_slot(loss_name, n_outputs, n_members, weighted, generator)
        if i == 4:  # a schedule sets it so
            step.optimizer.param_groups[0]["lr"] *= 0.3
            reference_optimizer.param_groups[0]["lr"] *= 0.3
        expected_output = reference(batch.x).detach().reshape(batch.output.shape)
        step(batch)
        reference_step(reference, loss, reference_optimizer, batch)
        torch.testing.assert_close(batch.output, expected_output, rtol=1e-9, atol=1e-9)
    assert_same_parameters(module, reference, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("width", [(12,), (13, 6)], ids=str)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("activation", ["tanh", "sin", "box", "mixed"])
def test_a_step_through_other_activations_is_that_of_autograd(activation, optimizer, width, n_members):
    loss, n_outputs = LOSSES["cross-entropy"]
    module = make_module(width, n_outputs, n_members, activation)
    reference = copy.deepcopy(module)
    step = TrainingStep(module, loss, OPTIMIZERS[optimizer](module.parameters()), BATCH)
    reference_optimizer = OPTIMIZERS[optimizer](reference.parameters())
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        batch = draw_slot("cross-entropy", n_outputs, n_members, True, generator)
        step(batch)
        reference_step(reference, loss, reference_optimizer, batch)
    assert_same_parameters(module, reference, rtol=1e-9, atol=1e-9)


def test_a_refilled_slot_trains_on_its_new_rows():
    loss, n_outputs = LOSSES["squared"]
    module = make_module()
    reference = copy.deepcopy(module)
    step = TrainingStep(module, loss, OPTIMIZERS["sgd"](module.parameters()), BATCH)
    reference_optimizer = OPTIMIZERS["sgd"](reference.parameters())
    generator = torch.Generator().manual_seed(1)
    batch = draw_slot("squared", n_outputs, 1, True, generator)
    for _ in range(3):
        for buffer, values in zip(batch, draw_slot("squared", n_outputs, 1, True, generator), strict=True):
            buffer.copy_(values)
        step(batch)
        reference_step(reference, loss, reference_optimizer, batch)
    assert_same_parameters(module, reference, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("optimizer", ["sgd", "fused adamw"])
@pytest.mark.parametrize(("loss_name", "activation"), [*((loss, "relu") for loss in LOSSES), ("squared", "mixed")])
def test_a_step_allocates_no_memory(loss_name, activation, optimizer, n_members):
    loss, n_outputs = LOSSES[loss_name]
    module = make_module((12, 6), n_outputs, n_members, activation)
    step = TrainingStep(module, loss, OPTIMIZERS[optimizer](module.parameters()), BATCH)
    batch = draw_slot(loss_name, n_outputs, n_members, True, torch.Generator().manual_seed(1))
    for _ in range(2):
        step(batch)
    pointers = [parameter.data_ptr() for parameter in module.parameters()]
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step(batch)
    activations = BATCH * 12 * 8  # bytes; scalars that torch wraps as tensors are smaller
    largest = max((event.self_cpu_memory_usage for event in recorded.key_averages()), default=0)
    assert largest < activations
    assert [parameter.data_ptr() for parameter in module.parameters()] == pointers


CASES = {
    "classifier, sgd": (small_classifier, {"optimizer": "sgd", "learning_rate": 0.1, "lr_schedule": "constant"}),
    "classifier, adamw": (small_classifier, {"early_stopping": True}),
    "three classes, weighted": (small_classifier, {"n_classes": 3, "class_weight": {0: 1, 1: 2, 2: 5}}),
    "hinge, deep": (small_classifier, {"loss": "hinge", "width": (32, 16, 8)}),
    "one member": (small_classifier, {"n_members": 1, "loss": "squared", "optimizer": "sgd"}),
    "regressor": (small_regressor, {"n_members": 3}),
    "rich, deep": (small_classifier, {"richness": 1.0, "width": (32, 16, 8), "learning_rate": 0.001}),
    "lazy, sgd": (
        small_regressor,
        {"richness": 0.05, "width": (32, 16), "optimizer": "sgd", "learning_rate": 0.1},
    ),
    "averaged, rows left out": (
        small_classifier,
        {
            "lr_schedule": "constant",
            "weight_averaging": True,
            "early_stopping": "out_of_fold",
            "activation": "mixed",
            "n_members": 3,
        },
    ),
}


@pytest.mark.parametrize(("make", "parameters"), CASES.values(), ids=CASES.keys())
def test_the_fast_path_and_skorchs_autograd_path_train_the_same_net(make, parameters):
    parameters = parameters.copy()
    n_classes = parameters.pop("n_classes", 2)
    X, y = labelled_rows(150, n_classes) if make is small_classifier else numbered_rows(150)
    looks = LooksAtBatches()
    parameters["bias_init"] = "uniform"  # "data" puts rows on the very kink of relu, where rounding decides
    fast = make(**parameters).fit(X, y)
    slow = make(callbacks=[looks], **parameters).fit(X, y)
    assert looks.n_batches == 5 * (4 if parameters.get("early_stopping") else 5)
    assert_same_parameters(fast.net_.module_, slow.net_.module_, rtol=0, atol=2e-5)
    np.testing.assert_allclose(fast.loss_curve_, slow.loss_curve_, rtol=1e-5)
    if fast.validation_scores_ is not None:
        assert fast.validation_scores_ == slow.validation_scores_


def flushes_denormals():
    return bool((torch.full((2,), 1e-39) * 0.5 == 0).all())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("callbacks", [None, [LooksAtBatches()]], ids=["fast path", "autograd path"])
def test_weights_decay_to_zero_and_never_into_denormals(optimizer, callbacks):
    X, y = labelled_rows(64)
    X[:, 0] = 0  # nothing holds the weights of this column against decay: 0.5 of them is left by every step
    assert not flushes_denormals()
    clf = small_classifier(
        optimizer=optimizer,
        learning_rate=0.1,
        weight_decay=5.0,
        lr_schedule="constant",
        batch_size=16,
        max_epochs=34,  # 136 steps: 0.5 ** 136 is 1e-41
        callbacks=callbacks,
    )
    clf.fit(X, y)
    smallest_normal = torch.finfo(torch.float32).tiny
    size = torch.cat([parameter.detach().abs().flatten() for parameter in clf.net_.module_.parameters()])
    assert ((size == 0) | (size >= smallest_normal)).all()
    assert (clf.net_.module_.input_layer.weight[..., 0] == 0).all()


def test_training_leaves_threads_and_the_denormal_mode_as_they_were():
    X, y = labelled_rows()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        n_python_threads = threading.active_count()
        small_classifier().fit(X, y).predict(X)
        assert torch.get_num_threads() == 2
        assert threading.active_count() == n_python_threads
        many = torch.full((1_000_000,), 1e-39) * 0.5  # on all threads
        assert (many != 0).all()
    finally:
        torch.set_num_threads(before)


def test_a_failing_callback_leaves_threads_as_they_were():
    class Fails(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise RuntimeError("mine")

    X, y = labelled_rows()
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="mine"):
        small_classifier(callbacks=[Fails()]).fit(X, y)
    assert threading.active_count() == before
    assert not flushes_denormals()


def test_a_frozen_parameter_stays():
    X, y = labelled_rows()

    class Freezes(Callback):
        def on_train_begin(self, net, **kwargs):
            net.module_.input_layer.weight.requires_grad_(False)
            self.before = net.module_.input_layer.weight.clone()

    freezes = Freezes()
    module = small_classifier(callbacks=[freezes]).fit(X, y).net_.module_
    assert torch.equal(module.input_layer.weight, freezes.before)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_learning_rate_follows_its_schedule_step_by_step(schedule):
    rates = []

    class NotesRate(Callback):
        def on_batch_begin(self, net, batch, training, **kwargs):
            rates.append(float(net.optimizer_.param_groups[0]["lr"]))

    X, y = labelled_rows(100)  # 4 steps an epoch
    small_classifier(lr_schedule=schedule, callbacks=[NotesRate()]).fit(X, y)
    progress = np.arange(20) / 20
    expected = 0.01 * (np.ones(20) if schedule == "constant" else (1 + np.cos(np.pi * progress)) / 2)
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


@pytest.mark.parametrize("path", ["fast", "autograd"])
def test_a_cosine_ends_near_zero_where_members_leave_rows_out(path):
    rates = []

    class NotesRate(Callback):
        def on_epoch_end(self, net, **kwargs):
            rates.append(float(net.optimizer_.param_groups[0]["lr"]))

    X, y = labelled_rows(400)
    callbacks = [NotesRate(), *([LooksAtBatches()] if path == "autograd" else [])]
    clf = small_classifier(early_stopping="out_of_fold", n_members=2, callbacks=callbacks).fit(X, y)
    assert clf.n_iter_ == 5
    progress = (7 * np.arange(1, 6) - 1) / 35  # 200 rows in 7 batches
    np.testing.assert_allclose(rates, 0.01 * (1 + np.cos(np.pi * progress)) / 2, rtol=1e-6)


@pytest.mark.parametrize(("n_members", "n_threads", "n_groups"), [(5, 2, 2), (2, 3, 2), (1, 2, 1), (5, 1, 1)])
@pytest.mark.parametrize("is_large", [False, True])
def test_members_are_shared_out_to_the_threads_and_train_the_same(
    monkeypatch, n_members, n_threads, n_groups, is_large
):
    groups, make = [], sparsemlp._training.cuda_graphs.make_steps

    def make_steps(*args):
        steps = make(*args)
        groups.append({len(steps_of_size) for steps_of_size in steps.values()})
        return steps

    monkeypatch.setattr(sparsemlp._training.session, "make_steps", make_steps)
    X, y = labelled_rows()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(n_threads)
        with monkeypatch.context() as patched:
            if is_large:  # each member fills the cache
                patched.setattr(sparsemlp.module, "GROUP_VALUES", 1)
            shared = small_classifier(n_members=n_members, batch_size=50).fit(X, y)
        assert torch.get_num_threads() == n_threads
        torch.set_num_threads(1)
        alone = small_classifier(n_members=n_members, batch_size=50).fit(X, y)
    finally:
        torch.set_num_threads(before)
    assert groups == [{n_members if is_large else n_groups}, {1}]
    np.testing.assert_allclose(shared.decision_function(X), alone.decision_function(X), atol=1e-5)


def test_no_batch_waits_for_the_device(monkeypatch):
    """Whatever brings a tensor's value to Python makes the host wait; an epoch does so a fixed number of times."""
    waits = []
    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__"):
        method = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda *a, m=method, **k: (waits.append(1), m(*a, **k))[1])
    X, y = labelled_rows(200)
    counts = []
    for batch_size in (5, 2):  # 40 and 100 batches an epoch
        small_classifier(batch_size=batch_size).fit(X, y)
        counts.append(len(waits))
        waits.clear()
    assert counts[0] == counts[1]
