"""Small runs for the tests of success frontiers, and the batches that they meet."""

import torch

from sparsemlp.frontier import Cell, Run
from sparsemlp.frontier.training import ParityTraining

CPU = torch.device("cpu")
QUICK = {"n_features": 12, "n_informative": 2, "max_steps": 750, "device": "cpu"}


def make_cell(**changes):
    setting = {
        "n_features": 12,
        "n_informative": 2,
        "n_samples": 40,
        "width": 10,
        "batch_size": 8,
        "max_steps": 750,
    }
    return Cell(**(setting | changes))


def training_of(cell, *numbers, module=None):
    return ParityTraining([Run(cell, number) for number in numbers], CPU, module)


def batches_of(training, n_steps):
    """The rows and targets of each run's next batches, as training meets them; nothing is trained."""
    met, step = [], training.step
    training.step = lambda slot: met.append(torch.cat([slot.x, slot.target], dim=-1))
    training.advance(n_steps)
    training.step = step
    stacked = torch.stack(met).view(n_steps, len(training.runs), training.cell.batch_size, -1)
    return {run.number: stacked[:, i] for i, run in enumerate(training.runs)}
