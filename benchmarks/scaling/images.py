"""A small convolutional network on images, lazy against rich: digits with random shifts as an endless stream.

The parametrisation is that of the library's networks (`sparsemlp.parametrization`), written for
convolutions: the readout divided by richness x channels, the output at the start taken off, the learning rate
channels x richness^2.
"""

import copy
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.report.document import Picture, Section, Table
from benchmarks.scaling import figures
from benchmarks.scaling.experiment import Experiment, Row, Setting, interval, run_all
from sparsemlp.scaling_laws import fit_power_law

N_CLASSES, SIZE, CANVAS = 10, 8, 12
N_EVALUATIONS = 30
PIXEL_MEAN, PIXEL_SCALE = 0.14, 0.3  # of the canvas
#: time before which the laws are not fitted: the first modes are being learned
FIT_FROM = 150.0
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {"richness": (0.03, 1.0), "channels": 8, "n_steps": 60, "n_seeds": 2},
    "quick": {"richness": (0.03, 0.3, 1.0), "channels": 16, "n_steps": 4000, "n_seeds": 2},
    "full": {"richness": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0), "channels": 128, "n_steps": 40_000, "n_seeds": 4},
}
TRAINING = {"rate": 1.0, "batch_size": 32}


def settings(profile: str) -> list[Setting]:
    """Return a piece of work for every richness."""
    plan = PROFILES[profile]
    sizes = {name: plan[name] for name in ("channels", "n_steps", "n_seeds")}
    return [{"richness": richness, **sizes, **TRAINING} for richness in plan["richness"]]


def compute(setting: Setting) -> list[Row]:
    """Train the networks of a setting, one for each seed."""
    found = run_all(_curve, [(setting, seed) for seed in range(setting["n_seeds"])])
    return [row for rows in found for row in rows]


class CentredCNN(nn.Module):
    """Two convolutions and a readout; centred by a frozen copy, as convolutions have no twins.

    Parameters
    ----------
    channels : int
        The width.
    richness : float
        The output is divided by this times the width.
    """

    def __init__(self, channels: int, richness: float) -> None:
        super().__init__()
        first, self.inner = nn.Conv2d(1, channels, 3), nn.Conv2d(channels, channels, 3, stride=2)
        self.body = nn.Sequential(first, nn.ReLU(), self.inner, nn.ReLU(), nn.Flatten())
        places = ((CANVAS - 4) // 2) ** 2
        self.readout = nn.Linear(channels * places, N_CLASSES, bias=False)
        with torch.no_grad():  # torch's are uniform weights of variance 1 / (3 fan-in)
            first.weight *= np.sqrt(3 * 9)
            self.readout.weight *= np.sqrt(3 * channels * places)
        self.scale = 1 / (richness * channels * places)
        self.rate_scale = channels * places * richness**2
        self.start = copy.deepcopy(nn.Sequential(self.body, self.readout)).requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs of the classes, 0 at the start."""
        with torch.no_grad():
            start = self.start(images)
        return (self.readout(self.body(images)) - start) * self.scale

    def parameter_groups(self, rate: float) -> list[dict[str, Any]]:
        """Return the parameters with their learning rates; inner weights are of order 1 / sqrt(fan-in)."""
        inner = self.inner.weight
        outer = [p for p in (*self.body.parameters(), *self.readout.parameters()) if p is not inner]
        rate *= self.rate_scale
        return [{"params": outer, "lr": rate}, {"params": [inner], "lr": rate / inner[0].numel()}]


def _curve(setting: Setting, seed: int) -> list[Row]:
    """Train one network by online SGD on one-hot targets."""
    train, test = _digits()
    torch.manual_seed(seed)  # torch's own layers take the global generator
    net = CentredCNN(setting["channels"], setting["richness"])
    optimizer = torch.optim.SGD(net.parameter_groups(setting["rate"]), lr=0.0)
    generator = torch.Generator().manual_seed(seed)
    held_out = _shifted(test, torch.arange(len(test[0])).repeat(2), torch.Generator().manual_seed(0))
    evaluations = set(np.unique(np.geomspace(5, setting["n_steps"], N_EVALUATIONS).astype(int)).tolist())
    rows: list[Row] = []
    for i in range(1, setting["n_steps"] + 1):
        index = torch.randint(len(train[0]), (setting["batch_size"],), generator=generator)
        images, target = _shifted(train, index, generator)
        loss = F.mse_loss(net(images), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if i in evaluations:
            rows.append({"seed": seed, "time": i * setting["rate"]} | _measured(net, *held_out))
    return rows


@torch.no_grad()
def _measured(net: CentredCNN, images: Tensor, target: Tensor) -> dict[str, float]:
    output = net(images)
    wrong = (output.argmax(1) != target.argmax(1)).float()
    left = (output - target).square().mean() / target.square().mean()
    return {"loss": float(left), "error": float(wrong.mean())}  # the loss as a share of that of the output 0


def _digits() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return images and centred one-hot targets to sample the stream from, and every fifth held out."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images / 16, dtype=torch.float32).view(-1, 1, SIZE, SIZE)
    y = F.one_hot(torch.tensor(labels), N_CLASSES).float() - 1 / N_CLASSES
    held = torch.arange(len(x)) % 5 == 0
    return (x[~held], y[~held]), (x[held], y[held])


def _shifted(data: tuple[Tensor, Tensor], index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return images at random places of a larger canvas, and their targets."""
    images, target = (values[index] for values in data)
    canvas = torch.zeros(len(index), 1, CANVAS, CANVAS)
    corner = torch.randint(CANVAS - SIZE + 1, (2, len(index), 1), generator=generator)
    rows, columns = corner + torch.arange(SIZE)
    canvas[torch.arange(len(index))[:, None, None], 0, rows[:, :, None], columns[:, None, :]] = images[:, 0]
    return (canvas - PIXEL_MEAN) / PIXEL_SCALE, target


def section(rows: pd.DataFrame) -> Section:
    """Return the exponents and final errors of every richness."""
    fits, lines = {}, []
    for richness, group in rows.groupby("richness"):
        table = group.pivot_table(index="time", columns="seed", values="loss")
        late = table[table.index >= min(FIT_FROM, table.index[len(table) // 2])]
        law = fit_power_law(late.index, late.to_numpy().T)
        fits[richness] = law
        last = group[group["time"] == group["time"].max()]
        lines.append(
            [
                *(f"{richness:g}", interval(law), f"{law.x_min:.3g} to {law.x_max:.3g}"),
                *(f"{last['loss'].mean():.4f}", f"{100 * last['error'].mean():.2f} %"),
            ]
        )
    text = (
        "Two convolutions and a readout on scikit-learn's digits, put at random places of a larger canvas in "
        "every batch; squared loss as a share of that of the output 0, on images whose originals are held out."
    )
    head = ["richness", "exponent of time", "fitted over", "last loss", "last error"]
    picture = Picture("images", "Loss on held-out images by time.", figures.images(rows, fits))
    return Section(EXPERIMENT.title, [text], [Table("By richness.", head, lines)], [picture])


EXPERIMENT = Experiment("A convolutional network on images", settings, compute, section)
