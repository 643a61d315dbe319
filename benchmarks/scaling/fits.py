"""Fitted exponents of networks as words and tables."""

from collections.abc import Sequence

from numpy.typing import ArrayLike

from sparsemlp.scaling_laws import PowerLaw, fit_power_law


def fit_or_none(x: ArrayLike, y: ArrayLike, x_min: float, x_max: float) -> PowerLaw | None:
    """Return the power law of a curve, None where too little of it is in the range."""
    try:
        return fit_power_law(x, y, x_min=x_min, x_max=x_max)
    except ValueError:
        return None


def interval(law: PowerLaw) -> str:
    """Return the exponent of something that falls, with its interval of 95 %."""
    decay = law.decay
    return f"{decay.value:.2f} ({decay.low:.2f} to {decay.high:.2f})"


def fits_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))
