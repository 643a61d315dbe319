"""What there is to do: studies, each a model on one training set, and the evaluations that make them up."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.data.splits import Size
from benchmarks.models import MODELS, Model
from benchmarks.results.schema import DEFAULT_TRIAL

Row = dict[str, Any]  # an evaluation as the store keeps it, or a part of one


@dataclass(frozen=True)
class Study:
    """One model on one training set: the evaluations that depend on one another."""

    task: str
    size: Size
    seed: int
    model: str

    @property
    def key(self) -> tuple[Any, ...]:
        """The study as the store writes it (STUDY_KEY)."""
        return (self.task, self.size.key, self.seed, self.model)

    def __str__(self) -> str:
        return f"{self.task} {self.size.key} seed {self.seed} {self.model}"


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a study: its pipeline at the defaults, or a trial."""

    study: Study
    trial: int

    @property
    def key(self) -> tuple[Any, ...]:
        """The key of its row in the store (EVALUATION_KEY)."""
        return (*self.study.key, self.trial)

    def __str__(self) -> str:
        return str(self.study) + ("" if self.is_default else f" trial {self.trial}")

    @property
    def is_default(self) -> bool:
        """Whether this is the untuned pipeline."""
        return self.trial == DEFAULT_TRIAL


@dataclass(frozen=True)
class Plan:
    """All studies that a command asks for, in the order in which they are begun, and trials of each.

    ``variants`` are competitors of this plan alone.
    """

    studies: tuple[Study, ...]
    n_trials: int
    variants: tuple[Model, ...] = ()

    def model(self, study: Study) -> Model:
        """Return the competitor of a study."""
        return next((model for model in self.variants if model.name == study.model), None) or MODELS[study.model]

    def evaluations(self, study: Study) -> Iterator[Evaluation]:
        """Yield the evaluations of a study in their order, the defaults first."""
        return (Evaluation(study, trial) for trial in range(DEFAULT_TRIAL, self.n_trials))

    def keys(self) -> set[tuple[Any, ...]]:
        """Return the keys of all evaluations (EVALUATION_KEY)."""
        return {evaluation.key for study in self.studies for evaluation in self.evaluations(study)}

    def missing(self, study: Study, finished: Collection[tuple[Any, ...]]) -> list[Evaluation]:
        """Return the evaluations of a study that are not among the finished ones."""
        return [evaluation for evaluation in self.evaluations(study) if evaluation.key not in finished]

    def all_missing(self, finished: Collection[tuple[Any, ...]]) -> list[Evaluation]:
        """Return all evaluations that are not among the finished ones."""
        return [evaluation for study in self.studies for evaluation in self.missing(study, finished)]

    def __len__(self) -> int:
        return len(self.studies) * (1 + self.n_trials)
