"""What only a CUDA device can show: graphs train as the CPU does, and fitted nets move between machines."""

import pickle

import numpy as np
import pytest
import torch
from small import labelled_rows, small_classifier

pytestmark = pytest.mark.gpu


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
    np.testing.assert_allclose(on_gpu.loss_curve_, on_cpu.loss_curve_, rtol=1e-3)


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
