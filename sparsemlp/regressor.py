"""SparseInitMLPRegressor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils._param_validation import StrOptions

from sparsemlp._activations import Activation
from sparsemlp._base import BaseSparseInitMLP
from sparsemlp._conformal import cv_plus_intervals
from sparsemlp._fitted import all_or_nothing
from sparsemlp._target_scale import TargetScale
from sparsemlp._training.losses import REGRESSION_LOSSES, Criterion, Loss, RegressionLoss, make_loss
from sparsemlp._training.net import LrSchedule, RegressorNet
from sparsemlp._training.optimizers import OptimizerName
from sparsemlp._training.session import Precision
from sparsemlp.init import BiasInit, WeightInit
from sparsemlp.preprocessing import Scaling
from sparsemlp.trees import FeatureSampling

# Standardised targets are clipped there.
LARGEST = 1e15
# Sums of larger targets overflow.
BEYOND = 1e300


class SparseInitMLPRegressor(RegressorMixin, BaseSparseInitMLP):
    """A wide neural network with a sparsely initialised first layer, for regression.

    First-layer neurons start with `sparsity` input features each, or as splits of shallow trees, and are then
    trained densely [1]_.
    Works on raw numeric columns and any scale of y: the estimator scales X and standardises y.

    Parameters
    ----------
    width : int or tuple of int, default=(512, 128)
        Hidden neurons; of a tuple the first is the sparse layer.
    sparsity : int, "auto" or None, default="auto"
        Number of raw features that every first-layer neuron starts with. "auto" is min(2, n_features), as
        in the paper. None: dense ``torch.nn.Linear`` initialisation; the weights of box, tanh and sin neurons are
        still scaled by their gain.
    init : {"sign", "ones", "normal", "uniform"}, default="normal"
        Distribution of the nonzero weights, see :func:`sparsemlp.init.s_hot_`. Ignored if ``sparsity=None``.
    bias_init : {"zeros", "uniform", "data"}, default="data"
        First-layer biases. "data" places each neuron's threshold at a random training row. Splits of trees have
        their own thresholds.
    feature_sampling : {"trees", "uniform"}, default="trees"
        How first-layer neurons choose what they start with. "uniform": all features with the same probability, as
        in the paper. "trees": shallow boosted trees are grown for every member, on the rows that it trains on. Box
        and tanh neurons start as splits of these trees, two of the same path side by side; the others sample
        features in proportion to the gain of their splits, with 0.3 of the probability the same for all. See
        :mod:`sparsemlp.trees`. Where features are at least as many as rows, ``fit`` also trains a second network
        on those that gain most, and keeps the one of smaller out-of-fold loss. Of more than 1000 features, each
        member sees the 128 that its rows rank first and 64 random ones; this needs out-of-fold rows and no
        `warm_start`. Ignored if ``sparsity=None``.
    activation : {"relu-tanh", "mixed", "relu", "tanh", "sin", "box"}, default="relu-tanh"
        Of the first layer; other hidden layers are relu. Box neurons come in pairs: with the logistic functions a
        and b of their weighted sums, one gives a b, which is 1 inside a corner of two splits and 0 outside, and
        the other a (1 - b). Their weights start twenty times as large, those of tanh neurons ten times, so that
        both are close to a step, like a split of a decision tree. The weights of sin neurons start one to four
        times as large, for targets that oscillate along a feature. "mixed": a quarter relu, a quarter sin, half
        box; "relu-tanh": half of the neurons each, which fits smooth targets better than a mix with sin neurons.
    richness : float or None, default=None
        How much features are learned. None: the usual parametrisation. A positive number: the centred mean-field
        parametrisation, in which weights move by the order of `richness`, and one learning rate serves every width
        and richness. Well below 1, say at 0.03, the network stays lazy, close to a kernel machine; from 1 on it is
        rich. 0 is an error, because the output is divided by it; under 0.01 float32 rounding errors show. See
        :mod:`sparsemlp.parametrization`.
    scaling : {"squash", "quantile", "both", "standard", None}, default="both"
        Input scaling, see :class:`sparsemlp.preprocessing.InputScaler`. With "both" every feature has two columns,
        one squashed and one of ranks, and a neuron starts with one of the two at random.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns that hold categories. "from_dtype": of a data frame, those of pandas' category, string and object
        dtypes and of polars' Categorical, Enum and String. Or names or indices of columns, or a mask; None: none.
        A neuron that samples such a column starts as a question about a random set of its categories, or with its
        categories' mean target. A missing value is a category. Categories that ``fit`` has not seen, or in fewer
        than ten rows, are alike.
    n_members : int or "auto", default="auto"
        Number of independent networks that are trained together and whose predictions are averaged. Each has its
        own initialisation and batches. "auto" is 8, and 5 of more than 50,000 rows, where single networks differ
        less; 8 in ``partial_fit``.
    loss : {"squared", "absolute_error", "huber"}, default="squared"
        Training loss of the standardised targets. Predictions tend to the conditional mean with "squared", and to
        the conditional median with "absolute_error". "huber" is half the square up to a distance of 1, and linear
        beyond (Huber 1964, *Robust Estimation of a Location Parameter*, Annals of Mathematical Statistics 35). The
        last two are for targets with gross errors or heavy tails: a few extreme ones change little.
    optimizer : {"adamw", "sgd"}, default="adamw"
        ``torch.optim.AdamW``, or plain SGD without momentum.
    learning_rate : float or "auto", default="auto"
        Initial learning rate. "auto" is 0.002. Of more than 20,000 rows it grows with the square root of their
        number, up to 0.005 from 125,000 rows on; not in ``partial_fit``.
    lr_schedule : {"constant", "cosine"}, default="constant"
        "cosine" falls from `learning_rate` to zero over `max_epochs`, step by step. A
        ``skorch.callbacks.LRScheduler`` among `callbacks` sets the rate instead.
    weight_averaging : bool, default=True
        Use the average of the weights over about the last ninth of the steps. It replaces a falling learning
        rate, so training may end at any epoch. (Shamir and Zhang 2013, arXiv:1212.1824, section 4.)
    weight_decay : float, default=0.01
        In torch's convention: a step shrinks weights by learning rate times weight decay.
    batch_size : int, default=256
        Largest number of rows in a step; the rows are shared evenly among ceil(n / batch_size) steps.
    max_epochs : int or "auto", default="auto"
        Largest number of passes over the training rows. "auto" is 100; of more than 80,000 rows so many that a
        member sees eight million rows in all, 8 of a million.
    max_seconds : float or None, default=None
        Largest number of seconds that ``fit`` trains, counted from its call; None: no limit. Training ends in the
        middle of an epoch, with the weights of the epoch, or part of one, with the smallest out-of-fold loss;
        without out-of-fold rows, with the latest. The first batches are trained in any case, and scaling and trees
        are not cut short. No warning follows; ``verbose=1`` says it. Results of a fit that ends so depend on the
        speed of the machine; a fit that ends before is the same as without the limit. ``partial_fit`` ignores it.
    early_stopping : {"out_of_fold"} or bool, default="out_of_fold"
        "out_of_fold": the rows (at most 10000 of them) are partitioned among the members, and each member trains
        on all rows but its own part. The out-of-fold loss is that of each row under the one member that does not
        train on it. Training ends at twice the epoch at which this loss was smallest, but not before the tenth.
        Of more than 20,000 rows it takes fewer epochs at least, 5 of 100,000, and with more than 50,000 rows it
        ends at one and a half times that epoch. A single member trains on all rows, for `max_epochs`.
        True: hold out rows (or use ``X_val, y_val``), stop if their loss has not fallen for `n_iter_no_change`
        epochs, and restore the best weights. False: train for `max_epochs`.
    search_steps : int, default=10000
        Largest number of steps of a second training, for targets such as parities on which the first one finds
        nothing: its out-of-fold loss is never below 0.99 of that of a constant prediction. It also follows where a
        member alone has found something: its loss is below 0.25 of a constant's, that of all is above 0.75 of it.
        The second training is the paper's: two members with relu neurons, weights of +-1 and no biases, plain SGD
        with learning rate 0.1 and batches of 32. The fit keeps the net of the smaller out-of-fold loss, and warns
        if nothing was found. Callbacks see both trainings. There is none with fewer than 256 rows, with `richness`
        or `warm_start`, and without out-of-fold rows. 0: never.
    validation_fraction : float, default=0.15
        Share of the rows held out for early stopping.
    n_iter_no_change : int, default=10
        Epochs without improvement after which early stopping stops.
    warm_start : bool, default=False
        Continue from the fitted weights for `max_epochs` more. `width`, `n_members`, `activation`, `richness`,
        `scaling` and `loss` must not have changed; the parameters of the initialisation are ignored.
    precision : {"float32", "bf16"}, default="float32"
        Of the matrix products in training. "bf16" computes hidden layers on bfloat16 copies of the weights. This
        takes less time if the hardware has such products (CPUs with AVX512-BF16 or AMX, GPUs) and layers are
        large, and longer otherwise. Weights, updates, losses and predictions stay in float32.
        Sin neurons then take the sine of a rounded number, and their gradients are a few percent off. skorch's
        autograd path trains in float32 in any case. For TF32 on CUDA, call
        ``torch.set_float32_matmul_precision("high")``.
    device : str or torch.device, default="auto"
        "auto" takes CUDA, then XPU, then MPS, then the CPU.
    random_state : int, RandomState or None, default=None
        Seed of initialisation, batches and split. The same seed, machine and number of threads give the same
        predictions to the bit on a CPU. Global generators are neither used nor changed.
    verbose : int, default=0
        1 shows a progress bar.
    callbacks : list of skorch callbacks, default=None
        They are called as skorch documents. A callback that acts on batches or gradients makes training take
        skorch's slower autograd path.

    Attributes
    ----------
    y_mean_, y_scale_ : float, or ndarray of shape (n_targets,) for several targets
        Mean and standard deviation of the training targets. With the other losses than "squared" the median, and
        the interquartile range over 1.349 (that of the standard normal distribution). If all targets are equal,
        all predictions are.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where X had string names.
    sparsity_ : int or None
        Number of features that every first-layer neuron started with; None for a dense start.
    device_ : str
        Name of the device that the network is on; unpickling may change it.
    feature_importances_ : ndarray of shape (n_features,)
        Shares of the features in the first layer, see :func:`sparsemlp.inspection.feature_importances`.
    net_ : skorch.NeuralNet
        The fitted skorch net; ``net_.module_`` is the :class:`sparsemlp.SparseInitMLP`.
    scaler_ : InputScaler
        The fitted input scaling.
    history_ : skorch.history.History
        One entry an epoch.
    loss_curve_ : list of float
        Training loss of every epoch.
    validation_scores_ : list of float or None
        R^2 on the validation rows after every epoch, weighted by sample weights; None where there were none.
    best_epoch_ : int
        Number of the epoch, from 1, that the weights of the net are from.
    n_iter_ : int
        Number of epochs run.

    References
    ----------
    .. [1] B. L. Edelman, S. Goel, S. Kakade, E. Malach, C. Zhang, "Pareto Frontiers in Neural Feature Learning:
       Data, Compute, Width, and Luck", NeurIPS 2023, arXiv:2309.03800.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from sklearn.model_selection import train_test_split
    >>> from sparsemlp import SparseInitMLPRegressor
    >>> X, y = make_friedman1(1000, noise=1.0, random_state=0)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> reg = SparseInitMLPRegressor(random_state=0).fit(X_train, y_train)
    >>> reg.score(X_test, y_test) > 0.85
    True
    """

    _parameter_constraints: ClassVar[dict[str, list | str]] = {
        **BaseSparseInitMLP._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES))],
    }

    # The loss of regression can rise once before it falls for long, where few rows are in the tail of y.
    _min_epochs: ClassVar[int] = 10
    _most_epochs: ClassVar[int] = 100

    def __init__(
        self,
        width: int | Sequence[int] = (512, 128),
        sparsity: int | Literal["auto"] | None = "auto",
        init: WeightInit = "normal",
        *,
        bias_init: BiasInit = "data",
        feature_sampling: FeatureSampling = "trees",
        activation: Activation = "relu-tanh",
        richness: float | None = None,
        scaling: Scaling | None = "both",
        categorical_features: Literal["from_dtype"] | Sequence[int | str | bool] | None = "from_dtype",
        n_members: int | Literal["auto"] = "auto",
        loss: RegressionLoss = "squared",
        optimizer: OptimizerName = "adamw",
        learning_rate: float | Literal["auto"] = "auto",
        lr_schedule: LrSchedule = "constant",
        weight_averaging: bool = True,
        weight_decay: float = 0.01,
        batch_size: int = 256,
        max_epochs: int | Literal["auto"] = "auto",
        max_seconds: float | None = None,
        early_stopping: bool | Literal["out_of_fold"] = "out_of_fold",
        validation_fraction: float = 0.15,
        search_steps: int = 10_000,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        precision: Precision = "float32",
        device: str | torch.device = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: list | None = None,
    ) -> None:
        self.width = width
        self.sparsity = sparsity
        self.init = init
        self.bias_init = bias_init
        self.feature_sampling = feature_sampling
        self.activation = activation
        self.richness = richness
        self.scaling = scaling
        self.categorical_features = categorical_features
        self.n_members = n_members
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.weight_averaging = weight_averaging
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.max_seconds = max_seconds
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.search_steps = search_steps
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.precision = precision
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    @all_or_nothing
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one pass over a chunk of rows, for data that do not fit in memory.

        The scales of X and y, first-layer biases and which features neurons start with come from the first chunk
        and stay; the learning rate is constant. Later chunks train with the optimizer that the first one began.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            A chunk of rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.

        Returns
        -------
        self : SparseInitMLPRegressor
            The estimator.

        Raises
        ------
        ValueError
            If ``early_stopping=True``, which needs all rows at once.
        """
        self._validate_params()
        return self._partial_fit(X, y, sample_weight, first=not hasattr(self, "net_"))

    def predict(self, X: Any) -> np.ndarray:
        """Return the members' mean prediction.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_targets) for several targets
        """
        return _one_or_several(self._decision(X)) * self.y_scale_ + self.y_mean_

    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Return intervals that hold the targets of a share `coverage` of the rows.

        They are cross-validated conformal intervals (CV+ [1]_): the absolute errors of every member on the rows
        that it has not trained on are added to and subtracted from its predictions. No further fit is needed.
        If new rows are like those of training, at least ``2 * coverage - 1`` of the targets are inside, and nearly
        always about `coverage`. Sample weights do not count.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows.
        coverage : float, default=0.9
            Between 0 and 1.

        Returns
        -------
        ndarray of shape (n_samples, 2), or (n_samples, n_targets, 2) for several targets
            Lower and upper ends. They are infinite with fewer than ``1 / (1 - coverage)`` out-of-fold rows.

        Raises
        ------
        ValueError
            If no rows are out-of-fold, or `coverage` is not between 0 and 1.

        References
        ----------
        .. [1] R. F. Barber, E. J. Candès, A. Ramdas, R. J. Tibshirani, "Predictive inference with the jackknife+",
           Annals of Statistics 49(1), 2021, arXiv:1905.02928.

        Examples
        --------
        >>> from sklearn.datasets import make_friedman1
        >>> from sparsemlp import SparseInitMLPRegressor
        >>> X, y = make_friedman1(600, noise=1.0, random_state=0)
        >>> reg = SparseInitMLPRegressor(max_epochs=30, random_state=0).fit(X[:300], y[:300])
        >>> low, high = reg.predict_interval(X[300:], coverage=0.8).T
        >>> bool(0.7 < ((low <= y[300:]) & (y[300:] <= high)).mean() < 0.9)
        True
        """
        errors = self._calibrated(coverage, "predict_interval")
        n_members, _, n_targets = errors.shape
        members = self._predict(X, _members).reshape(-1, n_members, n_targets)
        intervals = np.stack(
            [cv_plus_intervals(members[:, :, j], errors[:, :, j], coverage) for j in range(n_targets)], axis=1
        )
        scale, center = (np.reshape(values, (-1, 1)) for values in (self.y_scale_, self.y_mean_))
        scaled: np.ndarray = intervals * np.where(scale, scale, np.finfo(float).tiny) + center
        return scaled[:, 0] if n_targets == 1 else scaled

    # -- hooks of the base class ------------------------------------------------------------------------------

    def _check_y(self, y: np.ndarray, name: str = "y", *, learn: bool = False) -> None:
        """All numbers that can be added up are targets, as many a row as in training."""
        if (largest := np.abs(y).max(initial=0.0)) > BEYOND:
            raise ValueError(
                f"{name} has the value {largest:.3g}, and {BEYOND:g} is the most; divide {name} by a number"
            )
        if learn:
            self._target_shape = y.shape[1:]
        elif y.shape[1:] != self._target_shape:
            n_targets, n_learned = (shape[0] if shape else 1 for shape in (y.shape[1:], self._target_shape))
            raise ValueError(f"{name} has {n_targets} targets a row, but the network has learned {n_learned}")

    def _fit_y_scale(self, y: np.ndarray, weight: np.ndarray, *, may_change: bool) -> None:
        robust, scales = self._fitted_network["loss"] != "squared", []
        for target in np.atleast_2d(np.asarray(y, dtype=np.float64).T):
            scale = TargetScale.of(target, weight)
            if not robust:
                scale.warn_if_few_dominate()
            center, deviation = scale.robust() if robust else (scale.mean, scale.deviation)
            # A single value teaches nothing, unless others may follow, of about that size.
            scales.append((center, deviation or ((abs(center) or 1.0) if may_change else 0.0)))
        self.y_mean_: Any
        self.y_scale_: Any
        self.y_mean_, self.y_scale_ = scales[0] if y.ndim == 1 else np.array(scales).T

    def _scores(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (output - target).abs()

    def _class_weights(self, y: np.ndarray, y_train: np.ndarray) -> None:
        """Targets have no classes."""

    def _encode_y(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centred = np.asarray(y, dtype=np.float64) - self.y_mean_
        # A gross error stays one, and its square is finite in float32.
        scale = np.where(self.y_scale_, self.y_scale_, 1.0)
        standardised = np.clip(centred / scale, -LARGEST, LARGEST).astype(np.float32)
        return standardised, standardised.reshape(len(standardised), -1)

    def _skorch_net(self, **options: Any) -> RegressorNet:
        loss = make_loss(self._fitted_network["loss"])
        return RegressorNet(criterion=Criterion(loss), predict_nonlinearity=partial(_values, loss), **options)


def _members(output: torch.Tensor) -> torch.Tensor:
    """Return the predictions of all members for a row side by side."""
    return output.cpu().double().transpose(0, 1).flatten(1)


def _values(loss: Loss, output: torch.Tensor) -> torch.Tensor:
    """Return the prediction of the members together, for skorch."""
    return _one_or_several(loss.combine(output))


def _one_or_several(values: Any) -> Any:
    """Return values of shape (n_rows, n_targets), or (n_rows,) for one target."""
    return values[:, 0] if values.shape[1] == 1 else values
