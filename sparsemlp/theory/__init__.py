"""The theory of sparse parities as functions: bounds, scalings, luck and Fourier gaps.

The task throughout: inputs x uniform on {-1, +1}^n, label the product of k hidden ones, the support S. The
network has one hidden layer of r ReLU neurons, each of which starts with s inputs, and learns from m rows in T
steps. "The paper" is Edelman et al. 2023 [1]_, its predecessor Barak et al. 2022 [2]_.

The paper's theorems hold up to constants that it does not give. The functions here put 1 in their place: use
them for exponents and ratios, not as numbers of neurons to take.

References
----------
.. [1] B. L. Edelman, S. Goel, S. Kakade, E. Malach, C. Zhang. "Pareto Frontiers in Neural Feature Learning: Data,
   Compute, Width, and Luck". NeurIPS 2023. arXiv:2309.03800.
.. [2] B. Barak, B. L. Edelman, S. Goel, S. Kakade, E. Malach, C. Zhang. "Hidden Progress in Deep Learning: SGD
   Learns Parities Near the Computational Limit". NeurIPS 2022. arXiv:2207.08799.
"""

from sparsemlp.theory._bounds import Scaling, over_sparse_scaling, sq_lower_bound, under_sparse_scaling
from sparsemlp.theory._fourier import FourierGap, PopulationGradient, fourier_gap, population_gradient
from sparsemlp.theory._luck import (
    any_lucky_probability,
    approximate_lucky_probability,
    lucky_probability,
    width_for_luck,
)

__all__ = [
    "FourierGap",
    "PopulationGradient",
    "Scaling",
    "any_lucky_probability",
    "approximate_lucky_probability",
    "fourier_gap",
    "lucky_probability",
    "over_sparse_scaling",
    "population_gradient",
    "sq_lower_bound",
    "under_sparse_scaling",
    "width_for_luck",
]
