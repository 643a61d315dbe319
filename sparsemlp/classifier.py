"""SparseInitMLPClassifier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from numbers import Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags, compute_class_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets

from sparsemlp._activations import Activation
from sparsemlp._base import BaseSparseInitMLP
from sparsemlp._conformal import cv_plus_sets
from sparsemlp._fitted import all_or_nothing, only_if
from sparsemlp._tables import read_targets
from sparsemlp._training.losses import CLASSIFICATION_LOSSES, ClassificationLoss, Criterion, Loss, make_loss
from sparsemlp._training.net import ClassifierNet, LrSchedule, MultilabelNet
from sparsemlp._training.optimizers import OptimizerName
from sparsemlp._training.session import Precision
from sparsemlp.init import BiasInit, WeightInit
from sparsemlp.preprocessing import Scaling
from sparsemlp.trees import FeatureSampling

# So many labels are named in an error.
MAX_SHOWN = 10


class SparseInitMLPClassifier(ClassifierMixin, BaseSparseInitMLP):
    """A wide neural network with a sparsely initialised first layer, for classification.

    First-layer neurons start with `sparsity` input features each, or as splits of shallow trees, and are then
    trained densely [1]_.
    Works on raw numeric columns: the estimator scales them and handles missing values.

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
    activation : {"mixed", "relu-tanh", "relu", "tanh", "sin", "box"}, default="mixed"
        Of the first layer; other hidden layers are relu. Box neurons come in pairs: with the logistic functions a
        and b of their weighted sums, one gives a b, which is 1 inside a corner of two splits and 0 outside, and
        the other a (1 - b). Their weights start twenty times as large, those of tanh neurons ten times, so that
        both are close to a step, like a split of a decision tree. The weights of sin neurons start one to four
        times as large, for targets that oscillate along a feature. "mixed": a quarter relu, a quarter sin, half
        box; "relu-tanh": half of the neurons each.
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
    loss : {"cross_entropy", "hinge", "squared"}, default="cross_entropy"
        Training loss. Hinge and squared loss use targets of -1 and +1, with one output for each class if there are
        more than two; they give no probabilities.
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
        Largest number of passes over the training rows. "auto" is 40; of more than 200,000 rows so many that a
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
        train on it. Training ends at twice the epoch at which this loss was smallest, at one and a half times it
        with more than 50,000 rows. A single member trains on all rows, for `max_epochs`.
        True: hold out rows (or use ``X_val, y_val``), stop if their score has not improved for `n_iter_no_change`
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
    class_weight : "balanced", dict or None, default=None
        Weights of the classes; "balanced" makes all classes count the same.
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
    classes_ : ndarray of shape (n_classes,)
        The class labels; for several labels a row their numbers, from 0.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where X had string names.
    sparsity_ : int or None
        Number of features that every first-layer neuron started with; None for a dense start.
    device_ : str
        Name of the device that the network is on; unpickling may change it.
    temperature_ : ndarray of shape (n_members,)
        What each member's logits are divided by before the members are averaged. It is the number from 1 to 20
        with the smallest loss on the member's out-of-fold rows, among which those of all members count like ten
        more. It calibrates the probabilities of an overconfident network (Guo et al. 2017, arXiv:1706.04599), and
        a member that has found little counts for little. 1 without out-of-fold rows, and for losses other than
        cross-entropy. ``partial_fit`` after ``fit`` does not change it.
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
        Accuracy on the validation rows after every epoch, weighted by sample and class weights; None where there
        were none.
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
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import train_test_split
    >>> from sparsemlp import SparseInitMLPClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> clf = SparseInitMLPClassifier(random_state=0).fit(X_train, y_train)
    >>> clf.score(X_test, y_test) > 0.95
    True
    """

    classes_: np.ndarray

    _parameter_constraints: ClassVar[dict[str, list | str]] = {
        **BaseSparseInitMLP._parameter_constraints,
        "loss": [StrOptions(set(CLASSIFICATION_LOSSES))],
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    _most_epochs: ClassVar[int] = 40

    def __init__(
        self,
        width: int | Sequence[int] = (512, 128),
        sparsity: int | Literal["auto"] | None = "auto",
        init: WeightInit = "normal",
        *,
        bias_init: BiasInit = "data",
        feature_sampling: FeatureSampling = "trees",
        activation: Activation = "mixed",
        richness: float | None = None,
        scaling: Scaling | None = "both",
        categorical_features: Literal["from_dtype"] | Sequence[int | str | bool] | None = "from_dtype",
        n_members: int | Literal["auto"] = "auto",
        loss: ClassificationLoss = "cross_entropy",
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
        class_weight: Literal["balanced"] | dict | None = None,
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
        self.class_weight = class_weight
        self.precision = precision
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    @all_or_nothing
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one pass over a chunk of rows, for data that do not fit in memory.

        Scaling, first-layer biases and which features neurons start with come from the first chunk and stay; the
        learning rate is constant. Later chunks train with the optimizer that the first one began.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            A chunk of rows.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their labels; any chunk may lack some of the classes.
        classes : array-like of shape (n_classes,), optional
            All classes; required at the first call. Of several labels a row their numbers, 0 to n_labels - 1.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights.

        Returns
        -------
        self : SparseInitMLPClassifier
            The estimator.

        Raises
        ------
        ValueError
            If `classes` is missing at the first call, y holds other labels, or ``early_stopping=True`` or
            ``class_weight="balanced"``, which need all rows at once.
        """
        self._validate_params()
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' cannot work with partial_fit, which does not know how frequent the "
                "classes are in all chunks; pass a dict of weights"
            )
        first = not hasattr(self, "net_")
        if first:
            if classes is None:
                raise ValueError("classes must be given at the first call of partial_fit")
            classes = np.unique(read_targets(classes, numeric=False, name="classes"))
            if len(classes) < 2:
                raise ValueError(f"classes={classes.tolist()} must name at least two classes")
            self.classes_, self._is_multilabel = classes, np.ndim(y) == 2 and np.shape(y)[1] > 1
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes={np.unique(classes).tolist()} differs from the first call's, {self.classes_.tolist()}"
            )
        return self._partial_fit(X, y, sample_weight, first)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return decision values.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_classes) for more than two classes or several labels a row
            For cross-entropy the log-odds (log, for several classes) of the members' averaged probabilities;
            for the other losses the members' averaged outputs.
        """
        decision = self._decision(X)
        return decision[:, 0] if decision.shape[1] == 1 else decision

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of every row; of several labels a row, which are more probable than not.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_labels) of 0 and 1 for several labels a row
        """
        decision = torch.from_numpy(self._decision(X))
        if self._is_multilabel:
            return (decision > 0).long().numpy()
        # of the probabilities where there are any: decision values can differ where these are equal
        return self.classes_[self.net_.criterion_.loss.class_columns(decision).numpy().argmax(axis=1)]

    def _has_probabilities(self) -> bool:
        loss = self._fitted_network["loss"] if "net_" in vars(self) else self.loss
        if loss != "cross_entropy":
            raise AttributeError(f"probabilities are not available for loss={loss!r}")
        return True

    @only_if(_has_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the members' averaged class probabilities; for ``loss="cross_entropy"`` only.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples, n_labels) for several labels a row
        """
        return self._predict(X, lambda output: self.net_.criterion_.loss.class_columns(self._combine(output)))

    @only_if(_has_probabilities)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of the class probabilities; for ``loss="cross_entropy"`` only.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples, n_labels) for several labels a row
        """

        def log_probabilities(output: torch.Tensor) -> torch.Tensor:
            decision = self._combine(output)
            if decision.shape[1] == 1:
                decision = torch.cat([-decision, decision], dim=1)
            elif not self._is_multilabel:
                return decision
            return torch.nn.functional.logsigmoid(decision)

        return self._predict(X, log_probabilities)

    @only_if(_has_probabilities)
    def predict_set(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Return sets of classes that hold the class of a share `coverage` of the rows; for cross-entropy only.

        They are cross-validated conformal sets (CV+ [1]_): a class is in the set unless nearly all out-of-fold
        rows have a more probable class, each under the member that has not trained on it. The guarantee needs
        probabilities that do not depend on all out-of-fold rows together, so these are without `temperature_`. If
        new rows are like those of training, at least ``2 * coverage - 1`` of the classes are in their sets, and
        nearly always about `coverage`. A set can be empty. Sample and class weights do not count.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Rows.
        coverage : float, default=0.9
            Between 0 and 1.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), bool
            Whether a class is in the set of a row.

        Raises
        ------
        ValueError
            If no rows are out-of-fold, rows have several labels, or `coverage` is not between 0 and 1.

        References
        ----------
        .. [1] Y. Romano, M. Sesia, E. J. Candès, "Classification with valid and adaptive coverage", 2020,
           arXiv:2006.02544.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sparsemlp import SparseInitMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = SparseInitMLPClassifier(random_state=0).fit(X[::2], y[::2])
        >>> sets = clf.predict_set(X[1::2], coverage=0.95)
        >>> bool(sets[range(75), y[1::2]].mean() > 0.85)
        True
        """
        scores = self._calibrated(coverage, "predict_set")
        if self._is_multilabel:
            raise ValueError(f"predict_set is for one label a row; y had {len(self.classes_)}")

        def sets(output: torch.Tensor) -> torch.Tensor:
            n_members, n_rows, _ = output.shape
            probability = self._probabilities(output.cpu().double().flatten(0, 1))
            improbable = 1 - probability.view(n_members, n_rows, -1).transpose(0, 1)
            return torch.from_numpy(cv_plus_sets(improbable.numpy(), scores, coverage))

        return self._predict(X, sets)

    def _probabilities(self, output: torch.Tensor) -> torch.Tensor:
        """Return one column a class for the outputs of single members."""
        loss = self.net_.criterion_.loss
        return loss.class_columns(loss.combine(output.unsqueeze(0)))

    @property
    def temperature_(self) -> np.ndarray:
        """What each member's logits are divided by before these are averaged."""
        self._fitted("temperature_")
        return self._temperature

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    # -- hooks of the base class ------------------------------------------------------------------------------

    def _check_y(self, y: np.ndarray, name: str = "y", *, learn: bool = False) -> None:
        if y.ndim == 2:
            self._check_labels(y, name, learn)
            return
        if learn:
            check_classification_targets(y)
            classes = np.unique(y)
            if len(classes) < 2:
                raise ValueError(
                    f"y has one class only, {classes.tolist()[0]!r}; a classifier needs at least two classes"
                )
            self.classes_, self._is_multilabel = classes, False
        elif self._is_multilabel:
            raise ValueError(f"{name} has one label a row, but the network has learned {len(self.classes_)}")
        elif len(unknown := np.setdiff1d(y, self.classes_)):
            raise ValueError(f"{name} has labels {_some(unknown)} that are not in classes_={_some(self.classes_)}")

    def _check_labels(self, y: np.ndarray, name: str, learn: bool) -> None:
        """Check several labels a row."""
        if not np.isin(y, [0, 1]).all():
            raise ValueError(
                f"{name} has {y.shape[1]} columns with other values than 0 and 1. Several labels a row are a "
                "matrix of 0 and 1; for several targets of more classes use "
                "sklearn.multioutput.MultiOutputClassifier"
            )
        if self.class_weight is not None:
            raise ValueError(
                f"class_weight={self.class_weight!r} is for one label a row, and {name} has {y.shape[1]} columns; "
                "pass sample_weight"
            )
        if learn:
            self.classes_, self._is_multilabel = np.arange(y.shape[1]), True
        elif not self._is_multilabel or y.shape[1] != len(self.classes_):
            learned = len(self.classes_) if self._is_multilabel else 1
            raise ValueError(f"{name} has {y.shape[1]} labels a row, but the network has learned {learned}")

    def _fit_y_scale(self, y: np.ndarray, weight: np.ndarray, *, may_change: bool) -> None:
        """Classes have no scale."""

    def _scores(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if self._is_multilabel or not self.net_.criterion_.loss.has_probabilities:
            return output[:, 0]  # there are no sets
        index = target.argmax(dim=1, keepdim=True) if target.shape[1] > 1 else target.long()
        return 1 - self._probabilities(output).gather(1, index)[:, 0]

    def _class_weights(self, y: np.ndarray, y_train: np.ndarray) -> np.ndarray | None:
        if self.class_weight is None:
            return None
        weights = np.ones(len(self.classes_))
        if self.class_weight == "balanced":  # where training goes on, rows may lack some of the classes
            present = np.unique(y_train)
            balanced = compute_class_weight("balanced", classes=present, y=y_train)
            weights[np.searchsorted(self.classes_, present)] = balanced
        else:
            if not all(
                isinstance(value, Real) and 0 <= float(value) < math.inf for value in self.class_weight.values()
            ):
                raise ValueError(
                    f"class_weight={self.class_weight} must hold finite numbers, none of them negative"
                )
            weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y_train)
        by_row: np.ndarray = weights[np.searchsorted(self.classes_, y)]
        return by_row

    def _encode_y(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        index = (y if self._is_multilabel else np.searchsorted(self.classes_, y)).astype(np.int32)
        if self._is_multilabel:
            positive = y.astype(np.float32)
        elif len(self.classes_) == 2:
            positive = index.astype(np.float32)[:, np.newaxis]
        else:
            positive = np.eye(len(self.classes_), dtype=np.float32)[index]
        return index, positive if self._fitted_network["loss"] == "cross_entropy" else 2 * positive - 1

    def _skorch_net(self, **options: Any) -> ClassifierNet:
        loss = make_loss(self._fitted_network["loss"], 2 if self._is_multilabel else len(self.classes_))
        nonlinearity = partial(_class_columns, loss)
        classes = np.arange(len(self.classes_))
        net = MultilabelNet if self._is_multilabel else ClassifierNet
        return net(criterion=Criterion(loss), predict_nonlinearity=nonlinearity, classes=classes, **options)


def _some(values: np.ndarray) -> str:
    """Return the first of some values as text, and how many there are."""
    shown = str(values[:MAX_SHOWN].tolist())
    return shown if len(values) <= MAX_SHOWN else f"{shown[:-1]}, ... ({len(values)} in all)]"


def _class_columns(loss: Loss, output: torch.Tensor) -> torch.Tensor:
    """Return one column a class of the members together, for skorch."""
    return loss.class_columns(loss.combine(output))
