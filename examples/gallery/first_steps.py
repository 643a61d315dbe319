"""
First steps on a table with categories and missing values
=========================================================

A frame with numbers, categories and missing values goes into the classifier as it is. Five folds compare it with
a forest and with boosted trees.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from sparsemlp import SparseInitMLPClassifier

# %%
# The table: loans, of which some are repaid. Income is missing for a tenth of the rows.

rng = np.random.default_rng(0)
n = 500
loans = pd.DataFrame(
    {
        "income": rng.lognormal(10, 0.5, n),
        "amount": rng.lognormal(9, 0.7, n),
        "months": rng.choice([12, 24, 36, 60], n),
        "age": rng.integers(20, 75, n),
        "late_payments": rng.poisson(0.5, n),
        "job": pd.Categorical(rng.choice(["clerk", "cook", "driver", "farmer", "nurse", "teacher"], n)),
    }
)
burden = loans["amount"] / loans["months"] * 12 / loans["income"]
seasonal = loans["job"].isin(["cook", "farmer"])
repaid = burden + 0.1 * loans["late_payments"] + 0.15 * seasonal + rng.normal(0, 0.08, n) < 0.32
loans.loc[rng.random(n) < 0.1, "income"] = np.nan
loans.head()

# %%
# Nothing is scaled, imputed or encoded for the net: the estimator does that. The forest needs numbers.

encode = make_column_transformer(
    (OrdinalEncoder(), make_column_selector(dtype_include="category")), remainder="passthrough"
)

models = {
    "sparse net": SparseInitMLPClassifier(random_state=0),
    "random forest": make_pipeline(encode, RandomForestClassifier(250, random_state=0)),
    "boosted trees": HistGradientBoostingClassifier(random_state=0),
}
folds = StratifiedKFold(5, shuffle=True, random_state=0)
losses = pd.DataFrame(
    {name: -cross_val_score(m, loans, repaid, cv=folds, scoring="neg_log_loss") for name, m in models.items()}
)
losses.describe().loc[["mean", "std"]].round(3)

# %%
# Lines join the same fold, which is what a comparison should look at.

figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.plot(losses.columns, losses.T, color="0.7", marker="o")
ax.plot(losses.columns, losses.mean(), color="C0", lw=3, label="mean")
ax.set_ylabel("log loss of a fold")
ax.legend(frameon=False)
plt.show()
