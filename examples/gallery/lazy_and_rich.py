"""
Lazy and rich
=============

On a hard task a network that learns features (rich) falls as a steeper power of time than one that keeps them
(lazy). The solvable model of Bordelon, Atanasov and Pehlevan covers fourteen powers of ten in a moment.
"""

import matplotlib.pyplot as plt
import numpy as np

from sparsemlp.scaling_laws import gradient_flow, local_exponents, solvable_model, time_exponent

ALPHA, BETA = 1.5, 0.5
times = np.geomspace(1e-2, 1e12, 113)
model = solvable_model(ALPHA, BETA)
losses = {f"richness {gamma:g}": gradient_flow(model, times, richness=gamma)[0] for gamma in (0.0, 0.01, 1.0)}

# %%
# Left: the losses. Right: their local exponents, which tend to those of the theory (dotted).

figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.4), layout="constrained")
for name, loss in losses.items():
    left.loglog(times, loss, label=name)
    right.semilogx(times, local_exponents(times, loss))
for rich in (False, True):
    right.axhline(time_exponent(BETA, rich=rich), color="0.5", ls=":")
left.set(xlabel="time", ylabel="loss")
right.set(xlabel="time", ylabel="local exponent", ylim=(0, 0.9))
left.legend(frameon=False)
plt.show()
