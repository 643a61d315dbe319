"""Neural scaling laws, lazy and rich: exponents, a solvable model, and fits of power laws.

The task throughout: features whose variances fall as k^-alpha (alpha > 1, the capacity), and a target whose
variance in the features beyond k falls as k^-(alpha beta) (beta > 0, the source). A lazy network learns with the
features that it starts with; a rich one moves them. "The paper" is Bordelon et al. 2025 [1]_.

References
----------
.. [1] B. Bordelon, A. Atanasov, C. Pehlevan. "How Feature Learning Can Improve Neural Scaling Laws". ICLR 2025.
   arXiv:2409.17858.
"""

from sparsemlp.scaling_laws._dynamics import Trajectory, gradient_flow, online_sgd
from sparsemlp.scaling_laws._equivalents import lazy_loss, sample_limited_loss, width_limited_loss
from sparsemlp.scaling_laws._exponents import (
    ComputeExponents,
    compute_exponents,
    difficulty,
    noise_exponent,
    sample_exponent,
    time_exponent,
    width_exponent,
)
from sparsemlp.scaling_laws._fits import Decay, PowerLaw, fit_power_law, local_exponents, straightest_range
from sparsemlp.scaling_laws._model import SolvableModel, draw_sample_limited_losses, solvable_model

__all__ = [
    "ComputeExponents",
    "Decay",
    "PowerLaw",
    "SolvableModel",
    "Trajectory",
    "compute_exponents",
    "difficulty",
    "draw_sample_limited_losses",
    "fit_power_law",
    "gradient_flow",
    "lazy_loss",
    "local_exponents",
    "noise_exponent",
    "online_sgd",
    "sample_exponent",
    "sample_limited_loss",
    "solvable_model",
    "straightest_range",
    "time_exponent",
    "width_exponent",
    "width_limited_loss",
]
