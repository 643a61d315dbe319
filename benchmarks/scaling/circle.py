"""Networks on the circle: lazy against rich, on a hard and an easy target, with the initial kernel measured.

The target is y(t) = sum_k k^-q cos(k t) of unit mean square, the network one hidden layer of ReLUs on
(cos t, sin t), trained by SGD on fresh angles: equally spaced ones from a random start, which takes nearly all
noise from the gradient. (Bordelon, Atanasov and Pehlevan 2025, arXiv 2409.17858, section 5.)
"""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.report.document import Picture, Section, Table
from benchmarks.scaling import figures
from benchmarks.scaling.experiment import Experiment, Row, Setting, fit_or_none, interval, run_all
from sparsemlp import SparseInitMLP
from sparsemlp.scaling_laws import PowerLaw, fit_power_law
from sparsemlp.training import train

#: kinks that move blur what the initial kernel resolves, so that lazy is very small here
LAZY, RICH = 0.001, 1.0
#: exponents q of the targets; the kernel's alpha is about 2, and so beta = (2 q - 1) / alpha about 1/4 and 5/4
TARGETS = {"hard": 0.75, "easy": 1.75}
#: the rich network's kernel grows, and stays stable at a low rate only; time is rate x steps for both
RATES = {LAZY: 0.4, RICH: 0.02}
N_STARTS, N_EVALUATIONS = 64, 80
HEAD = ["target", "q", "beta", "kept", "lazy", "theory", "rich", "theory", "rich / lazy", "theory"]
#: modes over which the spectrum's exponent is fitted: the first two are out of line, late ones noisy
MODES = (3, 48)
#: both regimes are fitted from where this mode has been learned, to where one in so many has: before, the first
#: modes are learned, which are out of line; after, the target runs out of modes
FIRST_MODE, ONE_IN = 3, 8
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {"width": 64, "n_angles": 64, "time": 4.0, "n_seeds": 2},
    "quick": {"width": 1024, "n_angles": 256, "time": 400.0, "n_seeds": 2},
    "full": {"width": 4096, "n_angles": 1024, "time": 4000.0, "n_seeds": 4},
}


def settings(profile: str) -> list[Setting]:
    """Return the kernel's measurement, and a piece of work for every target and richness."""
    plan = PROFILES[profile]
    sizes = {"width": plan["width"], "n_angles": plan["n_angles"], "n_seeds": plan["n_seeds"]}
    many = sizes | {"n_seeds": 2 * plan["n_seeds"]}  # lazy networks differ more, take longer, and cost less
    found: list[Setting] = [{"part": "kernel", **many}]
    for target in TARGETS:
        for richness, rate in RATES.items():
            is_lazy = richness == LAZY
            n_steps = round(plan["time"] * (10 if is_lazy else 1) / rate)
            setting = {"part": "curve", "target": target, "richness": richness, "rate": rate, "n_steps": n_steps}
            found.append(setting | (many if is_lazy else sizes))
    return found


def compute(setting: Setting) -> list[Row]:
    """Train the networks of a setting, or measure the spectrum of their initial kernels."""
    work = _spectrum if setting["part"] == "kernel" else _curve
    found = run_all(work, [(setting, seed) for seed in range(setting["n_seeds"])])
    return [row for rows in found for row in rows]


def network(width: int, richness: float, seed: int) -> SparseInitMLP:
    """Return the network: weights from N(0, 1), no biases at first."""
    generator = torch.Generator().manual_seed(seed)
    return SparseInitMLP(2, 1, width, 2, init="normal", richness=richness, generator=generator)


def target_values(q: float, angles: NDArray[np.float64], n_modes: int) -> NDArray[np.float64]:
    """Return sum_k k^-q cos(k angle) over the first modes, of unit mean square."""
    k = np.arange(1, n_modes + 1)
    coefficients = k**-q / np.sqrt((k ** (-2 * q)).sum() / 2)
    return np.asarray(np.cos(np.outer(angles, k)) @ coefficients)


def _curve(setting: Setting, seed: int) -> list[Row]:
    """Train one network; the loss of a step is on angles it has hardly seen."""
    m = setting["n_angles"]
    dtype = torch.float64 if setting["richness"] == LAZY else torch.float32  # small moves need the digits
    module = network(setting["width"], setting["richness"], seed).to(dtype)
    batches = []
    for i in range(N_STARTS):
        angles = 2 * np.pi * (np.arange(m) + i / N_STARTS) / m
        y = target_values(TARGETS[setting["target"]], angles, m // 2)
        batches.append(tuple(torch.tensor(v, dtype=dtype) for v in (_points(angles), y[:, None])))
    n_steps: int = setting["n_steps"]
    order = np.random.default_rng(seed).integers(N_STARTS, size=n_steps)
    evaluations = set(np.unique(np.geomspace(1, n_steps, N_EVALUATIONS).astype(int)).tolist())
    rows: list[Row] = []

    def note(n_done: int, output: Tensor) -> None:
        if n_done in evaluations:
            loss = float((output - batches[order[n_done - 1]][1]).square().mean())
            rows.append({"seed": seed, "time": n_done * setting["rate"], "loss": loss})

    next_batch = partial(next, (batches[i] for i in order))
    train(module, next_batch, n_steps, loss="squared", learning_rate=setting["rate"], callback=note)
    return rows


def _points(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([np.cos(angles), np.sin(angles)])


def kernel(module: SparseInitMLP, angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the tangent kernel that gradient descent of unit rate has at the start, all layers trained."""
    x = torch.tensor(_points(angles), dtype=torch.float64)
    w, b, a, _ = (parameter.detach()[0].double() for parameter in module.parameters())
    linear = x @ w.T + b
    features, slopes = linear.relu(), (linear > 0) * a
    # the last 1 is the readout's bias, one among the neurons
    return np.asarray((features @ features.T + (slopes @ slopes.T) * (x @ x.T + 1) + 1) / len(b))


def _spectrum(setting: Setting, seed: int) -> list[Row]:
    """Measure the kernel's eigenvalue of every mode, and what a network that keeps this kernel would do."""
    m = setting["n_angles"] * 2
    angles = 2 * np.pi * np.arange(m) / m
    gram = kernel(network(setting["width"], RICH, seed), angles) / m
    rows: list[Row] = []
    for k in range(1, setting["n_angles"] // 2 + 1):
        waves = np.column_stack([np.cos(k * angles), np.sin(k * angles)])
        value = np.einsum("ic,ij,jc->", waves, gram, waves) / np.square(waves).sum()
        rows.append({"seed": seed, "mode": k, "eigenvalue": float(value)})
    values, vectors = np.linalg.eigh(gram)
    for name, q in TARGETS.items():
        power = (vectors.T @ target_values(q, angles, setting["n_angles"] // 2)) ** 2 / m
        for time in np.geomspace(RATES[LAZY], 4e4, N_EVALUATIONS):
            loss = float((power * np.exp(-4 * values * time)).sum())
            rows.append({"seed": seed, "target": name, "time": float(time), "loss": loss})
    return rows


def _range(target: str, n_angles: int) -> tuple[float, float]:
    """Return the losses between which both regimes are fitted."""
    k = np.arange(1, n_angles // 2 + 1)
    power = k ** (-2 * TARGETS[target])
    left = 1 - power.cumsum() / power.sum()
    return float(left[FIRST_MODE - 1]), float(left[len(k) // ONE_IN - 1])


def section(rows: pd.DataFrame) -> Section:
    """Return the measured spectrum, and exponents and their ratio next to theory."""
    curves, kernels = rows[rows["part"] == "curve"], rows[rows["part"] == "kernel"]
    spectrum = kernels[kernels["mode"].notna()].groupby("mode")["eigenvalue"].mean()
    alpha = fit_or_none(spectrum.index, spectrum, *MODES)
    lines: list[list[str]] = []
    fits: dict[tuple[str, float], PowerLaw | None] = {}
    for target, q in TARGETS.items():
        of_target = curves[curves["target"] == target]
        for richness in sorted(of_target["richness"].unique()):
            fits[target, richness] = _fit(of_target[of_target["richness"] == richness], target)
        kept = _fit(kernels[kernels["target"] == target], target)
        lines.append(_line(target, q, alpha, kept, fits))
    text = [
        "One hidden layer of ReLUs on the circle, the target's coefficients falling as k^-q; time is learning "
        "rate x steps. All are fitted over the same range of losses, in which they learn the same modes. Kept: "
        "what the initial kernel would do, with this target of finitely many modes."
    ]
    if alpha is not None:
        text.append(
            f"The initial kernel's spectrum falls with alpha = {interval(alpha)} over modes {alpha.x_min:.0f} to "
            f"{alpha.x_max:.0f}; beta = (2 q - 1) / alpha."
        )
    pictures = [
        Picture(
            "circle", "Loss by time, lazy and rich, with the fitted laws.", figures.circle(curves, kernels, fits)
        ),
        Picture("circle-kernel", "The initial kernel's eigenvalues.", figures.spectrum(spectrum, alpha)),
    ]
    return Section(EXPERIMENT.title, text, [Table("Exponents of time.", HEAD, lines)], pictures)


def _fit(curve: pd.DataFrame, target: str) -> PowerLaw | None:
    """Fit the curves of all seeds where the loss is in the target's range."""
    table = curve.pivot_table(index="time", columns="seed", values="loss")
    high, low = _range(target, int(curve["n_angles"].iloc[0]))
    mean = np.exp(np.log(table).mean(axis=1))
    inside = mean.index[(mean <= high) & (mean >= low)]
    if len(inside) < 4:
        return None
    return fit_power_law(table.index, table.to_numpy().T, x_min=inside[0], x_max=inside[-1])


def _line(
    target: str,
    q: float,
    alpha: PowerLaw | None,
    kept: PowerLaw | None,
    fits: dict[tuple[str, float], PowerLaw | None],
) -> list[str]:
    """Return the table's line of a target."""
    lazy, rich = fits.get((target, LAZY)), fits.get((target, RICH))
    beta = float("nan") if alpha is None else (2 * q - 1) / alpha.decay.value
    gain = max(1.0, 2 / (1 + beta))
    measured = "-"
    if lazy is not None and rich is not None:
        value = rich.exponent / lazy.exponent
        relative = [(one.high - one.low) / 2 / one.exponent for one in (lazy, rich)]
        error = abs(value) * float(np.hypot(relative[0], relative[1]))
        measured = f"{value:.2f} ± {error:.2f}"
    return [
        *(target, f"{q:g}", f"{beta:.2f}", "-" if kept is None else f"{kept.decay.value:.2f}"),
        *("-" if lazy is None else interval(lazy), f"{beta:.2f}"),
        *("-" if rich is None else interval(rich), f"{gain * beta:.2f}"),
        *(measured, f"{gain:.2f}"),
    ]


EXPERIMENT = Experiment("Networks on the circle: lazy and rich, hard and easy", settings, compute, section)
