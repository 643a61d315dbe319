"""The order of the gallery: from a first fit to the theory."""

ORDER = (
    "first_steps",
    "few_rows",
    "calibration_and_intervals",
    "neuron",
    "optuna_search",
    "width_and_sparsity",
    "stream",
    "saving_and_serving",
    "winning_ticket",
    "lazy_and_rich",
)


def position(filename: str) -> int:
    """Return the place of a script; one that the list lacks is an error of the build."""
    return ORDER.index(filename.removesuffix(".py"))
