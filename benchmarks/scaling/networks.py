"""The experiments of the scaling-laws study that train networks, by name."""

from benchmarks.scaling import circle, images, openml_tables, parity
from benchmarks.scaling.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    "circle": circle.EXPERIMENT,
    "images": images.EXPERIMENT,
    "parity": parity.EXPERIMENT,
    "tables": openml_tables.EXPERIMENT,
}
