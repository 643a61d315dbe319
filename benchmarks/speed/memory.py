"""Peak memory of a fit, read from a process of its own, beside what it cannot do without."""

import json
import subprocess
import sys
from typing import Any

# Rows, features, width: where rows dominate, where weights do, and both.
SIZES = ((1_000_000, 30, 256), (200_000, 30, 1024), (20_000, 30, 100_000))

# The kernel's high-water mark is reset after the imports, the data and a small fit, so that it is the fit's own.
SCRIPT = """
import json, pathlib, re, sys
import numpy as np
from sparsemlp import SparseInitMLPClassifier
n_samples, n_features, width = map(int, sys.argv[1:])
def resident(what):
    return 1024 * int(re.search(what + r":\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text()).group(1))
rng = np.random.default_rng(0)
X = rng.standard_normal((n_samples, n_features), dtype=np.float32)
y = (X[:, 0] > 0).astype(int)
def make(size):
    return SparseInitMLPClassifier(size, scaling="squash", n_members=1, max_epochs=1, random_state=0, device="cpu")
make(8).fit(X[:1000], y[:1000])
pathlib.Path("/proc/self/clear_refs").write_text("5")
before = resident("VmRSS")
net = make(width).fit(X, y)
peak = resident("VmHWM") - before
weights = 4 * sum(p.numel() for p in net.net_.module_.parameters())
batch = 4 * 256 * (n_features + 2 * width)
# float32 rows and targets; weights, gradients, two moments and the copy of the best weights; one batch
floor = 4 * n_samples * (n_features + 1) + 5 * weights + batch
print(json.dumps({"peak": peak, "floor": floor}))
"""


def peak_of_fit(n_samples: int, n_features: int, width: int) -> dict[str, Any] | None:
    """Return bytes at the peak of a fit and the bytes that it needs; None where the kernel does not tell."""
    command = [sys.executable, "-c", SCRIPT, str(n_samples), str(n_features), str(width)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
