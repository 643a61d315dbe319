"""
Tuning with Optuna
==================

:func:`~sparsemlp.search_space.suggest_params` samples from a small space around the defaults, which are the
first trial. Ten short trials here; take twenty, and all members and epochs, for your own table.
"""

import matplotlib.pyplot as plt
import numpy as np
import optuna
from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score

from sparsemlp import SparseInitMLPClassifier
from sparsemlp.search_space import best_params, default_suggestions, suggest_params

optuna.logging.set_verbosity(optuna.logging.WARNING)
X, y = load_wine(return_X_y=True)


def objective(trial: optuna.Trial) -> float:
    """Return the log loss of three folds."""
    params = suggest_params(trial, *X.shape)
    net = SparseInitMLPClassifier(n_members=2, max_epochs=30, random_state=0, **params)
    return -float(cross_val_score(net, X, y, cv=3, scoring="neg_log_loss").mean())


study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
study.enqueue_trial(default_suggestions())
study.optimize(objective, n_trials=10)
best_params(study)

# %%
# The smallest loss found so far, by trial. Trial 0 has the defaults.

losses = [trial.value for trial in study.trials if trial.value is not None]
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(losses, "o", color="0.6", label="a trial")
ax.step(range(len(losses)), np.minimum.accumulate(losses), where="post", label="best so far")
ax.set(xlabel="trial", ylabel="log loss", yscale="log")
ax.legend(frameon=False)
plt.show()
