"""Importance of the raw features in a fitted net's first layer, and what its neurons started as.

The plain norms of the first layer say little: most of each is the random initialisation, which trained weights
keep. So every neuron counts for as much as the later layers make of it, and its own weights only say how that is
shared among the features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sparsemlp._activations import blocks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: what columns of categorical features stand for that are no single category
MISSING, RARE, MEAN_TARGET = "(missing)", "(rare or unknown)", "(mean target)"


def first_layer_mass(estimator: Any) -> np.ndarray:
    r"""Return the mass of every first-layer neuron on each raw feature.

    Neuron j with incoming weights :math:`w_j` has the mass

    .. math:: m_{jc} = \lVert r_j \rVert_2 \, |w_{jc}| \Big/ \sum_{c'} |w_{jc'}|

    on input column c, where the vector :math:`r_j`, an entry for each output, is column j of the product of all
    later layers' weight matrices: what the readout makes of the neuron, if the later activations are passed over.
    The columns of a raw feature (its scalings, the indicator of its missing values) are added up; the one-hot
    columns of its categories count as one, with the standard deviation of their weights over the training rows.
    Sharing a neuron in this way is from Garson 1991, *Interpreting neural-network connection weights*, and
    multiplying with signs through the later layers, so that paths that cancel count for nothing, to Olden and
    Jackson 2002, *Illuminating the "black box"*. Columns that were constant in training, and so are ignored, have
    no mass.

    Parameters
    ----------
    estimator : SparseInitMLPClassifier or SparseInitMLPRegressor
        A fitted estimator.

    Returns
    -------
    ndarray of shape (n_members, width, n_features), float64
        Masses have no unit: neurons can be compared with each other. The masses of a neuron add up to the norm
        of its readout, less the part of columns that were constant.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.

    Examples
    --------
    >>> from sparsemlp import paper_net
    >>> from sparsemlp.datasets import make_sparse_parity
    >>> from sparsemlp.inspection import first_layer_mass
    >>> X, y = make_sparse_parity(500, n_features=10, n_informative=2, random_state=0)
    >>> net = paper_net(width=30, max_epochs=60, random_state=0).fit(X, y)
    >>> first_layer_mass(net).shape
    (1, 30, 10)
    """
    check_is_fitted(estimator, "net_")
    n_members = estimator.net_.module_.n_members
    return np.stack([_mass(estimator, member).numpy() for member in range(n_members)])


def feature_importances(estimator: Any) -> np.ndarray:
    """Return every raw feature's share of the first layer's mass, over all neurons of all members.

    It needs no data and takes no time, but ignores how the features are distributed. Permutation importance
    (:func:`sklearn.inspection.permutation_importance`) measures better what predictions depend on; this share is
    meant to rank features like it. Irrelevant features keep a small share from the random initialisation.

    Parameters
    ----------
    estimator : SparseInitMLPClassifier or SparseInitMLPRegressor
        A fitted estimator, whose ``feature_importances_`` are the same.

    Returns
    -------
    ndarray of shape (n_features,), float64
        They add up to 1; all are 0 where all features were constant.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    first_layer_mass : The same for each neuron, with the definition.

    Examples
    --------
    >>> from sparsemlp import paper_net
    >>> from sparsemlp.datasets import make_sparse_parity
    >>> from sparsemlp.inspection import feature_importances
    >>> X, y, support = make_sparse_parity(500, 10, n_informative=2, random_state=0, return_support=True)
    >>> net = paper_net(width=100, max_epochs=100, random_state=0).fit(X, y)
    >>> bool(feature_importances(net)[support].sum() > 0.6)
    True
    """
    check_is_fitted(estimator, "net_")
    members = range(estimator.net_.module_.n_members)  # one at a time, for the sake of memory
    total = np.sum([_mass(estimator, member).sum(dim=0).numpy() for member in members], axis=0)
    return total / (total.sum() or 1.0)


def neuron_starts(estimator: Any) -> pd.DataFrame:
    """Tell what the first layer's neurons started as, and what training has made of it.

    A neuron that started as a split of a tree has one row: the feature, the sign of the weight, and the threshold.
    One that started as a set of categories has a row for each category in it.
    Box neurons work in pairs: neurons i and i + n/2 of n box neurons, which started as splits of the same path.

    Parameters
    ----------
    estimator : SparseInitMLPClassifier or SparseInitMLPRegressor
        A fitted estimator. If a second network has replaced the first one, its start is told.

    Returns
    -------
    DataFrame
        A row for each nonzero weight at the start, with the columns

        - ``member``, ``neuron``: numbers from 0.
        - ``kind``: the neuron's activation, "relu", "tanh", "sin" or "box".
        - ``feature``: name of the raw feature, ``x0``, ``x1``, ... where there are no names.
        - ``category``: the category that the column stands for; "(missing)", also for missing numbers; "(rare or
          unknown)" for all categories that have no column of their own; "(mean target)" for the mean target of a
          row's category; None for numbers. A feature of two categories is a number, which is larger for the one
          that is named.
        - ``column``: number of the scaled column, as ``estimator.scaler_.transform`` makes it.
        - ``start_weight``: the weight before training.
        - ``start_threshold``: where a neuron of a single input crossed 0, in units of the scaled column; NaN for
          neurons of several inputs.
        - ``weight``: the weight now.
        - ``share``: the share of this column in the neuron's absolute weights now. It was 1 for a single input.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If the start is not known, because it was dense.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsemlp import SparseInitMLPClassifier
    >>> from sparsemlp.inspection import neuron_starts
    >>> X = np.random.default_rng(0).normal(size=(300, 5))
    >>> clf = SparseInitMLPClassifier(n_members=2, random_state=0).fit(X, X[:, 2] > 1.0)
    >>> starts = neuron_starts(clf)
    >>> starts[starts.kind == "box"].feature.mode().item()
    'x2'
    """
    check_is_fitted(estimator, "net_")
    start, module = estimator.net_.start_, estimator.net_.module_
    if start is None:
        raise ValueError("neuron_starts needs a first layer that started sparse; this one has sparsity=None")
    kind = np.empty(start.bias.shape[1], dtype=object)
    for name, neurons in blocks(module.activation, len(kind)):
        kind[neurons] = name
    weight = module.input_layer.weight.detach().cpu().numpy()
    now = weight[start.member, start.neuron, start.column]
    total = np.abs(weight).sum(axis=2)[start.member, start.neuron]
    n_inputs = np.zeros(start.bias.shape, dtype=int)
    np.add.at(n_inputs, (start.member, start.neuron), 1)
    is_single = n_inputs[start.member, start.neuron] == 1
    return pd.DataFrame(
        {
            "member": start.member,
            "neuron": start.neuron,
            "kind": kind[start.neuron],
            "feature": _names(estimator)[estimator.scaler_.column_features_[start.column]],
            "category": pd.Series(_categories(estimator)[start.column], dtype=object),
            "column": start.column,
            "start_weight": start.weight,
            "start_threshold": np.where(is_single, -start.bias[start.member, start.neuron] / start.weight, np.nan),
            "weight": now,
            "share": np.abs(now) / np.maximum(total, np.finfo(np.float32).tiny),
        }
    )


def plot_neurons(
    estimator: Any, ax: Axes | None = None, *, n_neurons: int = 40, n_features: int | None = 20
) -> Axes:
    """Plot the share of each feature in the neurons of largest mass, one row for each neuron.

    Parameters
    ----------
    estimator : SparseInitMLPClassifier or SparseInitMLPRegressor
        A fitted estimator.
    ax : matplotlib Axes, optional
        Where to plot. Default: a new figure.
    n_neurons : int, default=40
        How many neurons, of all members, to plot.
    n_features : int or None, default=20
        How many features, the most important ones; None: all.

    Returns
    -------
    matplotlib Axes
        Features from the most important on the left, neurons sorted by the feature that they have most of.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If `n_neurons` or `n_features` is below 1.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sparsemlp import paper_net
    >>> from sparsemlp.datasets import make_sparse_parity
    >>> from sparsemlp.inspection import plot_neurons
    >>> X, y = make_sparse_parity(500, n_features=10, n_informative=2, random_state=0)
    >>> net = paper_net(width=30, max_epochs=60, random_state=0).fit(X, y)
    >>> ax = plot_neurons(net, Figure().subplots(), n_neurons=12)
    >>> ax.get_ylabel()
    '12 of 30 neurons'
    """
    for name, value in (("n_neurons", n_neurons), ("n_features", n_features)):
        if value is not None and value < 1:
            raise ValueError(f"{name}={value} must be at least 1")
    mass = first_layer_mass(estimator)
    neurons = mass.reshape(-1, mass.shape[-1])
    features = np.argsort(-neurons.sum(axis=0), kind="stable")[:n_features]
    largest = np.argsort(-neurons.sum(axis=1), kind="stable")[:n_neurons]
    shares = neurons[largest] / np.maximum(neurons[largest].sum(axis=1, keepdims=True), np.finfo(float).tiny)
    shares = shares[:, features]
    shares = shares[np.lexsort((-shares.max(axis=1), shares.argmax(axis=1)))]
    if ax is None:
        ax = _new_axes()
    image = ax.imshow(shares, aspect="auto", cmap="Greys", vmin=0, interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label="share of the neuron's mass")
    ax.set_xticks(range(len(features)), _names(estimator)[features], rotation=90)
    ax.set_yticks([])
    ax.set_xlabel("feature, the most important first")
    ax.set_ylabel(f"{len(shares)} of {len(neurons)} neurons")
    return ax


@torch.no_grad()
def _mass(estimator: Any, member: int) -> Tensor:
    """Return one member's mass, of shape (width, n_features_in_)."""
    first, *later = (layer.weight[member].cpu().double() for layer in estimator.net_.module_.layers)
    readout = later[-1]
    for weight in later[-2::-1]:
        readout = readout @ weight
    for kind, neurons in blocks(estimator.net_.module_.activation, len(first)):
        if kind == "box":
            # outputs a (1 - b) and a b change with a by their mean, and with b by half of their difference
            rest, both = readout[:, neurons].chunk(2, dim=1)
            readout[:, neurons] = torch.cat([both + rest, both - rest], dim=1) / 2
    weight = first.abs()
    scaler = estimator.scaler_
    for (start, stop), frequency in scaler.one_hot_columns().items():
        # a set of many categories says no more than one column: the deviation of what the categories add
        w, p = first[:, start:stop], torch.from_numpy(frequency)
        weight[:, start:stop] = 0
        weight[:, start] = (w.square() @ p - (w @ p).square()).clamp_min(0).sqrt()
    share = weight / weight.sum(dim=1, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
    mass = share * readout.norm(dim=0).unsqueeze(1)
    mass[:, torch.from_numpy(scaler.ignored_columns())] = 0
    features = torch.from_numpy(scaler.column_features_)
    return mass.new_zeros(len(mass), estimator.n_features_in_).index_add_(1, features, mass)


def _names(estimator: Any) -> np.ndarray:
    numbered = [f"x{i}" for i in range(estimator.n_features_in_)]
    return np.asarray(getattr(estimator, "feature_names_in_", numbered), dtype=object)


def _categories(estimator: Any) -> np.ndarray:
    """Name the category that every column stands for; None for the columns of numbers."""
    scaler, encoder = estimator.scaler_, estimator._categories
    values = {} if encoder is None else dict(zip(scaler.categorical_features, encoder.categories, strict=True))
    names = np.empty(len(scaler.column_features_), dtype=object)
    for column, (feature, code) in enumerate(
        zip(scaler.column_features_.tolist(), scaler.column_codes(), strict=True)
    ):
        if code is None:
            names[column] = MEAN_TARGET if feature in scaler.categories_ else None
        elif np.isnan(code):
            names[column] = MISSING
        else:
            names[column] = RARE if code < 0 else values[feature][int(code)]
    return names


def _new_axes() -> Axes:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plot_neurons needs matplotlib: pip install matplotlib") from error
    return pyplot.subplots(layout="constrained")[1]
