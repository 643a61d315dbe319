"""Winning tickets: the few neurons of a trained network that would have learned alone.

Find the neurons that a trained network relies on, put them back to where they started, and train them without
the others. If they learn, and as many random neurons do not, then width was a search for them (Edelman et al.
2023, arXiv:2309.03800, the lottery-ticket experiment; the hypothesis is that of Frankle and Carbin 2019,
arXiv:1803.03635).
"""

from sparsemlp.lottery._experiment import ticket_experiment
from sparsemlp.lottery._tickets import KeepInitialisation, retrain, select_neurons, subnetwork, winning_ticket

__all__ = [
    "KeepInitialisation",
    "retrain",
    "select_neurons",
    "subnetwork",
    "ticket_experiment",
    "winning_ticket",
]
