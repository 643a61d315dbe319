"""Wide neural networks whose first layer starts sparse, as scikit-learn estimators."""

from importlib.metadata import version

from sparsemlp._paper_net import paper_net
from sparsemlp.classifier import SparseInitMLPClassifier
from sparsemlp.module import SparseInitMLP
from sparsemlp.regressor import SparseInitMLPRegressor

__all__ = ["SparseInitMLP", "SparseInitMLPClassifier", "SparseInitMLPRegressor", "paper_net"]
__version__ = version("sparsemlp")
