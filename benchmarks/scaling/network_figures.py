"""The figures of the networks of the scaling-laws study."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.report.style import STYLE
from sparsemlp.scaling_laws import PowerLaw

SHADES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito


def circle(
    curves: pd.DataFrame, kernels: pd.DataFrame, fits: Mapping[tuple[str, float], PowerLaw | None]
) -> Figure:
    """Draw loss by time on the circle, a panel a target, with fits and with what the initial kernel would do."""
    targets = list(curves["target"].unique())
    fixed = kernels[kernels["target"].notna()] if "target" in kernels else kernels.iloc[:0]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 3.8), layout="constrained")
        for axes, target in zip(figure.subplots(1, len(targets), squeeze=False)[0], targets, strict=True):
            of_target = curves[curves["target"] == target]
            mean = fixed[fixed["target"] == target].groupby("time")["loss"].mean()
            mean = mean[mean > of_target["loss"].min() / 2]
            axes.loglog(mean.index, mean, ":", color="black", lw=1.2, label="initial kernel, kept")
            _curves(axes, of_target, {g: law for (name, g), law in fits.items() if name == target})
            axes.set_title(f"{target} target")
            axes.set_xlabel("time = learning rate x steps")
        figure.axes[0].set_ylabel("loss")
        _legend(figure, figure.axes[0])
    return figure


def _curves(axes: Axes, rows: pd.DataFrame, fits: Mapping[Any, PowerLaw | None], by: str = "richness") -> None:
    """Draw a curve for every seed, and the fitted laws over the ranges that they were fitted to."""
    for height, ((value, group), colour) in enumerate(zip(rows.groupby(by), SHADES, strict=False)):
        for i, (_, one) in enumerate(group.groupby("seed")):
            label = f"{by} {value:g}" if i == 0 else None
            axes.loglog(one["time"], one["loss"], color=colour, lw=1.2, alpha=0.8, label=label)
        law = fits.get(value)
        if law is not None:
            x = np.array([law.x_min, law.x_max])
            axes.loglog(x, law.predict(x), "--", color="black", lw=1)
            middle = float(np.sqrt(x.prod()))
            axes.annotate(
                f"{law.decay.value:.2f}",
                (middle, float(law.predict(middle))),
                xytext=(8, 12 - 12 * height),
                textcoords="offset points",
                color=colour,
            )


def spectrum(eigenvalues: pd.Series, law: PowerLaw | None) -> Figure:
    """Draw the initial kernel's eigenvalue of every mode, with the fitted power law."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.5, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.loglog(eigenvalues.index, eigenvalues, ".", color=SHADES[0], label="measured")
        if law is not None:
            x = np.array([law.x_min, law.x_max])
            axes.loglog(x, law.predict(x), "k--", lw=1, label=f"k^-{law.decay.value:.2f}")
        axes.set_xlabel("mode k")
        axes.set_ylabel("eigenvalue")
        axes.legend(frameon=False)
    return figure


def success(table: pd.DataFrame, title: str) -> Figure:
    """Draw the share of networks that learn by richness, a line for each start, with 95 % Wilson intervals."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.5, 3.4), layout="constrained")
        axes = figure.subplots()
        for (start, line), colour in zip(table.groupby("start", sort=False), SHADES, strict=False):
            below, above = line["rate"] - line["low"], line["high"] - line["rate"]
            spread = np.clip([below, above], 0, None)
            axes.errorbar(line["richness"], line["rate"], spread, color=colour, fmt="o-", label=start)
        axes.set_xscale("log")
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel("richness")
        axes.set_ylabel("share of networks that learn")
        axes.legend(frameon=False)
        figure.suptitle(title, fontsize=10, x=0.02, ha="left")
    return figure


def images(rows: pd.DataFrame, fits: Mapping[Any, PowerLaw | None]) -> Figure:
    """Draw the loss on held-out images by time, for every richness."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.8), layout="constrained")
        axes = figure.subplots()
        _curves(axes, rows, fits)
        axes.set_xlabel("time = learning rate x steps")
        axes.set_ylabel("loss on held-out images")
        _legend(figure, axes)
    return figure


def tables(means: pd.DataFrame, errors: pd.DataFrame) -> Figure:
    """Draw mean accuracies against the usual parametrisation by richness, a line for each start."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.4), layout="constrained")
        axes = figure.subplots()
        for start, colour in zip(means.columns, SHADES, strict=False):
            center, error = 100 * means[start], 100 * errors[start]
            axes.errorbar(means.index, center, error, color=colour, fmt="o-", capsize=2, label=start)
        axes.axhline(0, color="black", lw=0.8)
        axes.set_xscale("log")
        axes.set_xlabel("richness")
        axes.set_ylabel("accuracy minus that without\nrichness, percentage points")
        axes.legend(frameon=False)
    return figure


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
