"""
Calibration and intervals
=========================

Probabilities of the classifier are calibrated on rows that each member was not trained on. Intervals around the
predictions of the regressor, and sets of classes, come from the same rows, and hold a stated share of new
targets.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_diabetes, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor

X, y = make_classification(5300, 15, n_informative=6, flip_y=0.15, class_sep=0.7, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=300, random_state=0)
figure, left = plt.subplots(figsize=(5.5, 4), layout="constrained")
left.plot([0, 1], [0, 1], color="0.8")
for name, model in {
    "sparse net": SparseInitMLPClassifier(random_state=0),
    "random forest": RandomForestClassifier(250, random_state=0),
    "boosted trees": HistGradientBoostingClassifier(random_state=0),
}.items():
    p = model.fit(X_train, y_train).predict_proba(X_test)[:, 1]
    share, mean = calibration_curve(y_test, p, n_bins=10)
    left.plot(mean, share, marker="o", label=f"{name}, log loss {log_loss(y_test, p):.2f}")
left.set(xlabel="predicted probability", ylabel="share of class 1")
left.legend(frameon=False, fontsize="small")
plt.show()

# %%
# ``predict_interval`` returns cross-validated conformal intervals. Nine of ten new targets should be inside. No
# rows are set aside for it, and there is no further fit.

X, y = load_diabetes(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
net = SparseInitMLPRegressor(random_state=0).fit(X_train, y_train)
predicted = net.predict(X_test)
low, high = net.predict_interval(X_test, coverage=0.9).T
inside = (low <= y_test) & (y_test <= high)
order = predicted.argsort()
figure, right = plt.subplots(figsize=(5.5, 4), layout="constrained")
right.fill_between(range(len(order)), low[order], high[order], color="C0", alpha=0.2, lw=0)
right.plot(predicted[order], label="prediction")
right.scatter(range(len(order)), y_test[order], c=np.where(inside[order], "0.4", "C3"), s=8, zorder=3)
right.set(xlabel="test rows, by prediction", ylabel="target", title=f"{100 * inside.mean():.0f} % inside")
plt.show()
