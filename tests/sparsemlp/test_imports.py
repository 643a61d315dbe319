"""What a short script does not wait for: modules that neither the import nor a fit has to load."""

import subprocess
import sys

SCRIPT = """
import sys
import numpy as np
import skorch, torch
from sparsemlp import SparseInitMLPClassifier
print("sklearn.ensemble" in sys.modules)
X = np.random.default_rng(0).standard_normal((30, 3))
for optimizer in ("sgd", "adamw"):
    net = SparseInitMLPClassifier(width=8, optimizer=optimizer, max_epochs=2, device="cpu").fit(X, X[:, 0] > 0)
    net.predict_proba(X)
    print("torch._dynamo" in sys.modules)
"""


def test_the_import_does_not_load_scikit_learns_trees_and_a_fit_not_torchs_compiler():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"] * 3
