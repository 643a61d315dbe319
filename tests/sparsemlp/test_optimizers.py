"""The optimizers take what torch's take."""

import pytest
import torch

from sparsemlp._training.optimizers import SGD, AdamW


@pytest.mark.parametrize(("ours", "torchs"), [(SGD, torch.optim.SGD), (AdamW, torch.optim.AdamW)])
def test_groups_of_parameters_are_as_torch_takes_them(ours, torchs):
    first, second = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    made = [cls([{"params": [first], "lr": 0.5}, {"params": [second]}], lr=0.1) for cls in (ours, torchs)]
    assert made[0].param_groups == made[1].param_groups
    assert isinstance(made[0], torchs)
    with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
        made[0].add_param_group({"params": [first]})
