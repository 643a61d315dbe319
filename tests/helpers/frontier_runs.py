"""Small runs for the tests of success frontiers, and the batches that they meet."""

import torch

from sparsemlp.frontier import Run, Setting
from sparsemlp.frontier._run_batch import RunBatch

CPU = torch.device("cpu")
QUICK = {"n_features": 12, "n_informative": 2, "max_steps": 750, "device": "cpu"}


def make_setting(**changes):
    setting = {
        "n_features": 12,
        "n_informative": 2,
        "n_samples": 40,
        "width": 10,
        "batch_size": 8,
        "max_steps": 750,
    }
    return Setting(**(setting | changes))


def training_of(setting, *numbers, module=None):
    return RunBatch([Run(setting, number) for number in numbers], CPU, module)


def batches_of(training, n_steps):
    """The rows and targets of each run's next batches, as training meets them; nothing is trained."""
    met, step = [], training.step
    training.step = lambda batch: met.append(torch.cat([batch.x, batch.target], dim=-1))
    training.advance(n_steps)
    training.step = step
    stacked = torch.stack(met).view(n_steps, len(training.runs), training.setting.batch_size, -1)
    return {run.number: stacked[:, i] for i, run in enumerate(training.runs)}
