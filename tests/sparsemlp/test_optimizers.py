"""The optimizers are torch's, without the wait for its compiler."""

import subprocess
import sys

import pytest
import torch

from sparsemlp._training.optimizers import SGD, AdamW

FIT = """
import sys
import numpy as np
from sparsemlp import SparseInitMLPClassifier
X = np.random.default_rng(0).standard_normal((30, 3))
net = SparseInitMLPClassifier(width=8, optimizer={optimizer!r}, max_epochs=2, device="cpu").fit(X, X[:, 0] > 0)
net.predict_proba(X)
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_fit_does_not_load_torchs_compiler(optimizer):
    command = [sys.executable, "-c", FIT.format(optimizer=optimizer)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(("ours", "torchs"), [(SGD, torch.optim.SGD), (AdamW, torch.optim.AdamW)])
def test_groups_of_parameters_are_as_torch_takes_them(ours, torchs):
    first, second = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    made = [cls([{"params": [first], "lr": 0.5}, {"params": [second]}], lr=0.1) for cls in (ours, torchs)]
    assert made[0].param_groups == made[1].param_groups
    assert isinstance(made[0], torchs)
    with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
        made[0].add_param_group({"params": [first]})
