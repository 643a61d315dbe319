"""The estimators' own skorch callbacks: best weights, early stopping, a progress bar."""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
from skorch.callbacks import Callback
from tqdm.auto import tqdm

# tqdm's own bar, with a digit for the part of an epoch.
BAR = "{l_bar}{bar}| {n:.1f}/{total} epochs [{elapsed}<{remaining}{postfix}]"
# Far below the largest number of float32: outputs that cannot reach it are finite, for rows to come as well.
LARGE = 1e25


class KeepBest(Callback):
    """Keep a copy of the best weights; stop when training diverges or no longer improves.

    Attributes
    ----------
    best_epoch_ : int
        Number of the epoch whose weights are kept, from 1; 0 is the initialisation.
    diverged_ : bool
        Whether the loss became infinite or NaN.
    exhausted_ : bool
        Whether patience ran out; :class:`StopWhenExhausted` acts on it, after all other callbacks.
    """

    #: whether the best weights are restored in the end; else the last ones are kept, unless the loss diverges
    restores_ = False

    def configure(self, monitors: list[tuple[str, int]], patience: int | None, every: int = 1) -> None:
        """Set what the next training needs.

        Parameters
        ----------
        monitors : list of (str, int)
            Columns of the history that rank epochs, the later ones breaking ties, each with +1 where larger is
            better and -1 where smaller is.
        patience : int or None
            Stop, and restore the best weights, after this many epochs without a better one. None: train to
            the end and keep the last weights, unless the time is over or the loss becomes infinite or NaN.
        every : int
            Look at every `every`-th epoch only, so that copying stays cheap if epochs have few steps.
        """
        self.monitors_, self.patience_, self.every_ = monitors, patience, every
        self.restores_ = patience is not None

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Start from the weights as they are."""
        self.start_ = len(net.history)
        self.best_epoch_ = self.start_
        self.best_score_: tuple[float, ...] = (-math.inf,)
        self.diverged_ = self.exhausted_ = False
        self.copies_ = [parameter.detach().clone() for parameter in net.module_.parameters()]
        self.out_of_fold_ = None

    def on_epoch_end(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        """Copy the weights if this epoch is the best so far; say if it is time to stop."""
        losses = (net.history[-1].get(name, 0.0) for name in ("train_loss", "valid_loss"))
        if not all(map(math.isfinite, losses)):
            self.diverged_ = True
            net.stop_reason = "the loss became infinite or NaN"
            raise KeyboardInterrupt  # skorch's way to end training
        epoch = len(net.history)
        if (epoch - self.start_) % self.every_:
            return
        score = tuple(sign * net.history[-1, name] for name, sign in self.monitors_)
        if score > self.best_score_ and _has_finite_outputs(net.module_, dataset_train):
            self.best_score_, self.best_epoch_ = score, epoch
            self.out_of_fold_ = net.out_of_fold_
            net.session.compute(self._copy, net.module_, restore=False)
        elif self.patience_ is not None and epoch - self.best_epoch_ >= self.patience_:
            self.exhausted_ = True

    def on_train_end(self, net: Any, X: Any = None, **kwargs: Any) -> None:
        """Restore the best weights, where they are wanted or the last ones have diverged."""
        self.diverged_ = self.diverged_ or not _has_finite_outputs(net.module_, X)
        if self.diverged_ or self.restores_:
            self._copy(net.module_, restore=True)
            net.out_of_fold_ = self.out_of_fold_ or net.out_of_fold_
        else:
            self.best_epoch_ = len(net.history)
        self.copies_.clear()
        self.out_of_fold_ = None

    @torch.no_grad()
    def _copy(self, module: torch.nn.Module, restore: bool) -> None:
        for copy, parameter in zip(self.copies_, module.parameters(), strict=True):
            (parameter if restore else copy).copy_(copy if restore else parameter)


class StopWhenExhausted(Callback):
    """End training once patience has run out, and the user's callbacks have seen the epoch.

    Parameters
    ----------
    keep_best : KeepBest
        Knows when.
    """

    def __init__(self, keep_best: KeepBest) -> None:
        self.keep_best = keep_best

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """End training if it is time to."""
        if self.keep_best.exhausted_:
            net.stop_reason = f"the validation rows saw nothing better than epoch {self.keep_best.best_epoch_}"
            raise KeyboardInterrupt


def _has_finite_outputs(module: Any, dataset: Any) -> bool:
    """Say whether weights and outputs are finite: looks at the weights alone, unless these are very large."""
    largest = _largest_values(module)
    if not all(map(math.isfinite, largest)):
        return False
    bound = 1.0  # of a layer's values, for inputs of order one
    for layer, weight, bias in zip(module.layers, largest[::2], largest[1::2], strict=True):
        bound = bound * weight * layer.weight.shape[-1] + bias
    bound *= max(1.0, module.output_scale)
    if bound < LARGE or bound > torch.finfo(torch.float32).max:  # then rows to come can be where these are not
        return bound < LARGE
    rows = torch.arange(min(len(dataset), 1000), device=dataset.target.device)
    x = dataset.target.new_empty(len(rows), dataset.X.n_columns)
    dataset.X.take(rows, out=x)
    with torch.no_grad():
        return bool(module(x).isfinite().all())


def _largest_values(module: torch.nn.Module) -> list[float]:
    """Return the largest absolute value of every parameter."""
    parameters = [parameter.detach() for parameter in module.parameters()]
    if parameters[0].is_cpu:  # where torch would wake its threads for what takes less than that
        return [float(max(values.max(), -values.min())) for values in map(torch.Tensor.numpy, parameters)]
    return torch.stack([values.abs().max() for values in parameters]).tolist()  # one wait for the device


class Progress(Callback):
    """A progress bar over epochs, which moves within them as well."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Say if there are validation rows that decide nothing."""
        callbacks = dict(net.callbacks_)
        decide = callbacks["_keep_best"].patience_ is not None or any(
            getattr(callback, "monitor", "train_loss") != "train_loss" for callback in callbacks.values()
        )
        if net.train_split is not None and not decide:
            print("sparsemlp: X_val is scored only; early_stopping=True lets it decide when training ends")

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Open the bar before the first epoch."""
        if getattr(self, "bar_", None) is None:
            hidden = sys.stderr is None  # without a console there is nowhere to show it
            self.bar_ = tqdm(total=net.session.n_epochs, desc="training", bar_format=BAR, disable=hidden)
        net.session.tell_progress = self._advance

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Show the latest losses and scores."""
        epoch = net.history[-1]
        names = ("train_loss", "out_of_fold_loss", "valid_loss", "valid_acc", "valid_r2")
        self.bar_.set_postfix({name: f"{epoch[name]:.4g}" for name in names if name in epoch}, refresh=False)

    def _advance(self, n_epochs: float) -> None:
        """Show that so many epochs are done."""
        self.bar_.update(n_epochs - self.bar_.n)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Close the bar; say why it has not come to its end."""
        if self.bar_ is not None:
            self.bar_.close()
            n_epochs, total = self.bar_.n, self.bar_.total
            self.bar_ = None
            if n_epochs < total:
                n_done = f"{n_epochs:.1f}".removesuffix(".0")
                reason = net.stop_reason or "a callback ended it"
                print(f"sparsemlp: training ended after {n_done} of {total} epochs, because {reason}")
