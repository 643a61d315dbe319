"""The tables of the results file; a study adds tables of its own to ``metadata`` when it is imported."""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

APPLICATION = "sparsemlp benchmarks"
SCHEMA_VERSION = 4
DEFAULT_TRIAL = -1

metadata = MetaData()

about = Table(
    "about",
    metadata,
    Column("application", String(64), primary_key=True),
    Column("schema_version", Integer, nullable=False),
)

environments = Table(
    "environments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("versions", Text, nullable=False),
    Column("machine", Text, nullable=False),
    UniqueConstraint("versions", "machine"),
)

commands = Table(
    "commands",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("started_at", String(32), nullable=False),
    Column("command", Text, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("task", String(64), primary_key=True),
    Column("n_rows", Integer, nullable=False),  # 0: every seed samples as many as are asked for
    Column("n_features", Integer, nullable=False),
    Column("n_published", Integer),
    Column("statement", Text, nullable=False),
    Column("complete", Boolean, nullable=False),
)

STUDY_KEY = ("task", "size", "seed", "model")
EVALUATION_KEY = (*STUDY_KEY, "trial")
evaluations = Table(
    "evaluations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task", String(64), nullable=False),
    Column("size", String(32), nullable=False),  # as benchmarks.data.splits.Size writes it: "fraction:0.1"
    Column("seed", Integer, nullable=False),
    Column("model", String(64), nullable=False),
    Column("trial", Integer, nullable=False),  # DEFAULT_TRIAL: the untuned pipeline
    Column("kind", String(16), nullable=False, default="classification"),  # of the task, or "regression"
    Column("n_train", Integer, nullable=False),
    Column(
        "fraction", Float, nullable=False
    ),  # n_train as a share of the training pool; 0: every seed samples its own
    Column("n_test", Integer, nullable=False),
    Column("parameters", Text, nullable=False),  # JSON: what the trial set; {} at the defaults
    Column("suggestions", Text, nullable=False),  # JSON: the same as Optuna has them, for replaying a study
    Column("validation", String(64)),  # how the validation score came about: "5-fold", "holdout 25%"
    Column("validation_score", Float),  # none where the trial was pruned
    Column("fold_scores", Text, nullable=False),  # JSON: accuracy, or R2, on each fold, in order
    Column("pruned", Boolean, nullable=False),  # stopped after some folds; not fitted on all training rows
    Column("test_accuracy", Float),
    Column("test_roc_auc", Float),
    Column("test_log_loss", Float),
    Column("test_brier", Float),
    Column("calibration", Text),  # JSON: rows, summed confidence and hits by bin of confidence
    Column("test_r2", Float),  # of regression; the five before are of classification
    Column("test_rmse", Float),
    Column("baseline_score", Float, nullable=False),  # accuracy of the majority class, or R2 of the training mean
    Column("fit_seconds", Float),
    Column("predict_seconds", Float),
    Column("tuning_seconds", Float),  # of the fits on validation folds
    Column("peak_memory", Float),  # MiB: the most that the process held in memory during fit and predict
    Column("threads", Integer, nullable=False),  # cores that the fit could use
    Column("warnings", Text),
    Column("failure", Text),
    Column("environment", ForeignKey("environments.id"), nullable=False),
    UniqueConstraint(*EVALUATION_KEY),
)

# What an evaluation measures, on validation folds and on the test rows; the other columns are known before it.
VALIDATED = ("validation", "validation_score", "fold_scores", "pruned", "tuning_seconds")
MEASURED = (
    *("test_accuracy", "test_roc_auc", "test_log_loss", "test_brier", "calibration", "test_r2", "test_rmse"),
    *("fit_seconds", "predict_seconds", "peak_memory", "warnings", "failure"),
)
