"""The experiments of the scaling-laws study that train networks, by name."""

from benchmarks import scaling_circle, scaling_images, scaling_parity, scaling_tables
from benchmarks.scaling_experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    "circle": scaling_circle.EXPERIMENT,
    "images": scaling_images.EXPERIMENT,
    "parity": scaling_parity.EXPERIMENT,
    "tables": scaling_tables.EXPERIMENT,
}
