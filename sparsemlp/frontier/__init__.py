"""Success frontiers on sparse parity: many independent runs, trained at once as members of one network.

:func:`success_frontier` trains a grid. Below it are a :class:`Setting` of the grid, a :class:`Run` of a setting,
and :func:`train_runs`, which trains any runs of any settings and returns their :class:`Outcome`;
:func:`make_batches` shows which runs it trains together.
"""

from sparsemlp.frontier._runs import Outcome, Run, Setting
from sparsemlp.frontier._scheduling import make_batches, train_runs
from sparsemlp.frontier._study import success_frontier

__all__ = ["Outcome", "Run", "Setting", "make_batches", "success_frontier", "train_runs"]
