"""Success frontiers on sparse parity: many independent runs, trained at once as members of one network.

:func:`success_frontier` trains a grid. Below it are a :class:`Cell` of the grid, a :class:`Run` of a cell, and
:func:`train_runs`, which trains any runs of any cells and tells their :class:`Outcome`.
"""

from sparsemlp.frontier.batches import make_batches, train_runs
from sparsemlp.frontier.cell import Cell, Run
from sparsemlp.frontier.study import success_frontier
from sparsemlp.frontier.training import Outcome

__all__ = ["Cell", "Outcome", "Run", "make_batches", "success_frontier", "train_runs"]
