"""Success frontiers on sparse parity: many independent runs, trained at once as members of one network.

:func:`success_frontier` trains a grid. Below it are a :class:`Setting` of the grid, a :class:`Run` of a setting,
and :func:`train_runs`, which trains any runs of any settings and returns their :class:`Outcome`.
"""

from sparsemlp.frontier.batches import make_batches, train_runs
from sparsemlp.frontier.setting import Run, Setting
from sparsemlp.frontier.study import success_frontier
from sparsemlp.frontier.training import Outcome

__all__ = ["Outcome", "Run", "Setting", "make_batches", "success_frontier", "train_runs"]
