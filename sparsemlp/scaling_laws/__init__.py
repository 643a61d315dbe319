"""Neural scaling laws, lazy and rich: exponents, a solvable model, and fits of power laws."""

from sparsemlp.scaling_laws.fits import Decay, PowerLaw, fit_power_law, local_exponents, straightest_range

__all__ = ["Decay", "PowerLaw", "fit_power_law", "local_exponents", "straightest_range"]
