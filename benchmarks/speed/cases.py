"""The comparisons that `speed` makes."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.speed import contenders
from benchmarks.speed.contenders import Problem
from sparsemlp import SparseInitMLPClassifier
from sparsemlp.init import s_hot_

OURS = "sparsemlp"
BF16 = "sparsemlp, bf16"

# Rows, features, width: where rows dominate, where weights do, and both.
MEMORY_SIZES = ((1_000_000, 30, 256), (200_000, 30, 1024), (20_000, 30, 100_000))

# The kernel's high-water mark is reset after the imports, the data and a small fit, so that it is the fit's own.
MEMORY_SCRIPT = """
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


@dataclass(frozen=True)
class Case:
    """Contenders at one problem; `factor` turns their seconds into `unit`."""

    title: str
    contenders: dict[str, Callable[[], Any]]
    unit: str = "s"
    factor: float = 1.0
    contender: str = OURS  # the one that ratios are to
    once: bool = False  # for what takes minutes
    grows_with: tuple[str, float] | None = None  # what slopes are fitted to: "width" at 1000, say


def cases(scale: float, widths: list[int]) -> Iterator[Case]:
    """Yield the comparisons, made when they are due; `scale` shortens trainings and shrinks data."""
    for width in widths:
        yield paper(width, scale)
    for hidden in ((1024,), (4096, 256)):
        yield tabular(hidden, scale)
    yield members(scale)
    for n_members in (1, 8, 50):
        yield member_scaling(n_members, scale)
    for n_samples in (100, 1000, 10_000):
        if n_samples <= 1000 or scale >= 0.3:
            yield defaults(n_samples)
    yield from peers(1000)
    yield prediction(int(1_000_000 * scale))
    yield initialisation()
    yield importing()
    yield first_fit()
    if torch.cuda.is_available():
        yield from on_gpu(scale)


def paper(width: int, scale: float, device: str = "cpu") -> Case:
    """Time a step of the paper's net, n=50, batches of 32."""
    n_steps = int(np.clip(4e6 / width * scale, 20, 2000))
    n_batches = min(n_steps, 100)
    problem = Problem("sgd", 32 * n_batches, 50, (width,), 32, n_epochs=n_steps // n_batches, device=device)
    case = _per_step(
        f"paper's net, width {width}, a step",
        problem,
        {
            OURS: contenders.sparsemlp,
            "floor": contenders.floor,
            "plain PyTorch loop": contenders.torch_loop,
            "skorch": contenders.skorch_path,
            "scikit-learn MLPClassifier": contenders.scikit_learn,
        },
    )
    return replace(case, grows_with=("width, paper's net", width))


def tabular(hidden: tuple[int, ...], scale: float, device: str = "cpu") -> Case:
    """Time a step at up to 20000 rows of 30 features, batches of 256, AdamW."""
    n_rows = max(2560, int(20_000 * scale) // 256 * 256)
    problem = Problem("adamw", n_rows, 30, hidden, 256, n_epochs=4, device=device)
    return _per_step(
        f"table {n_rows} x 30, width {hidden}, a step",
        problem,
        {
            OURS: contenders.sparsemlp,
            BF16: contenders.sparsemlp_bf16,
            "floor": contenders.floor,
            "plain PyTorch loop": contenders.torch_loop,
            "skorch": contenders.skorch_path,
            "scikit-learn MLPClassifier": contenders.scikit_learn,
        },
    )


def members(scale: float) -> Case:
    """Time 8 members at once against 8 fits."""
    n_rows = max(2560, int(20_000 * scale) // 256 * 256)
    problem = Problem("adamw", n_rows, 30, (256,), 256, n_epochs=2, n_members=8)
    return Case(
        "8 members of width 256, a fit",
        {
            OURS: contenders.sparsemlp(problem),
            "8 fits one after another": contenders.each_member(contenders.sparsemlp)(problem),
        },
    )


def member_scaling(n_members: int, scale: float) -> Case:
    """Time a step of several members, to see how the cost grows with them."""
    problem = Problem("sgd", 3200, 50, (100,), 32, n_epochs=max(1, int(20 * scale)), n_members=n_members)
    pair = {OURS: contenders.sparsemlp, "floor": contenders.floor}
    title = f"paper's net, width 100, {n_members} members, a step"
    return replace(_per_step(title, problem, pair), grows_with=("members, paper's net, width 100", n_members))


def defaults(n_samples: int) -> Case:
    """Time whole fits with the defaults, rows small and large."""
    X, y = _table(n_samples)
    return Case(
        f"defaults, {n_samples} rows x 20, a fit",
        {OURS: lambda: _classifier().fit(X, y), BF16: lambda: _classifier(precision="bf16").fit(X, y)},
        grows_with=("rows, whole fit with the defaults", n_samples),
    )


def peers(n_samples: int) -> Iterator[Case]:
    """Time whole fits of other packages' nets at their defaults, where they are installed."""
    X, y = _table(n_samples)
    makers = contenders.peers_at_their_defaults()
    if makers:
        works: dict[str, Callable[[], Any]] = {
            name: partial(_fit, make, X, y) for name, make in ({OURS: _classifier} | makers).items()
        }
        yield Case(f"defaults of other packages, {n_samples} rows x 20, a fit", works, once=True)


def prediction(n_samples: int) -> Case:
    """Time predict_proba with the defaults."""
    X, y = _table(n_samples)
    estimator = _classifier(max_epochs=1).fit(X[:1000], y[:1000])
    return Case(f"defaults, predict {n_samples} rows x 20", {OURS: lambda: estimator.predict_proba(X)})


def initialisation() -> Case:
    """Time s_hot_ on a wide layer."""
    weight = torch.empty(100_000, 300)
    return Case("s_hot_ of (100000, 300), s=2", {OURS: lambda: s_hot_(weight, 2)})


def importing() -> Case:
    """Time importing the package against importing what it stands on."""
    peers = "import torch, sklearn.neural_network, skorch"
    contestants = {"with sparsemlp": f"{peers}, sparsemlp", "torch, scikit-learn, skorch alone": peers}
    return Case("import, a new process", _processes(contestants), contender="with sparsemlp")


def first_fit() -> Case:
    """Time all that a script of one small fit takes, from the start of Python to its end."""
    rows = """
import numpy as np
X = np.random.default_rng(0).standard_normal((100, 20)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)
"""
    fits = {
        OURS: """
from sparsemlp import SparseInitMLPClassifier
SparseInitMLPClassifier(device="cpu").fit(X, y)
""",
        "skorch": """
from skorch import NeuralNetClassifier
from torch import nn
NeuralNetClassifier(nn.Linear(20, 2), criterion=nn.CrossEntropyLoss, verbose=0).fit(X, y.astype(np.int64))
""",
        "scikit-learn MLPClassifier": """
from sklearn.neural_network import MLPClassifier
MLPClassifier(max_iter=10, tol=0, n_iter_no_change=10).fit(X, y)
""",
    }
    return Case("a script of one fit of 100 rows", _processes({who: rows + fit for who, fit in fits.items()}))


def _processes(codes: dict[str, str]) -> dict[str, Callable[[], Any]]:
    """Return calls that run Python code in new processes."""

    def python(code: str) -> Callable[[], Any]:
        return lambda: subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)

    return {who: python(code) for who, code in codes.items()}


def on_gpu(scale: float) -> Iterator[Case]:
    """Yield the comparisons on a CUDA device."""
    n_epochs = max(1, int(30 * scale))
    many = Problem("sgd", 3200, 50, (1000,), 32, n_epochs=n_epochs, n_members=50, device="cuda")
    bounds = {"floor": contenders.floor, "memory alone": contenders.memory_alone}
    title = "GPU: paper's net, width 1000, 50 members, a step"
    yield _per_step(title, many, {OURS: contenders.sparsemlp, **bounds})
    yield replace(paper(1000, scale, "cuda"), title="GPU: paper's net, width 1000, a step")
    for hidden in ((1024,), (4096, 256)):
        yield replace(tabular(hidden, scale, "cuda"), title=f"GPU: table, width {hidden}, a step")
    default = Problem("adamw", 10_000, 20, (512, 128), 256, n_epochs=20, n_members=8, device="cuda")
    contestants = {
        OURS: contenders.sparsemlp,
        "plain PyTorch loop": contenders.each_member(contenders.torch_loop),
        "skorch": contenders.each_member(contenders.skorch_path),
    }
    yield _per_step("GPU: 8 nets of (512, 128) on 10000 rows, a step", default, contestants)


def peak_of_fit(n_samples: int, n_features: int, width: int) -> dict[str, Any] | None:
    """Return bytes at the peak of a fit and the bytes that it needs; None where the kernel does not tell."""
    command = [sys.executable, "-c", MEMORY_SCRIPT, str(n_samples), str(n_features), str(width)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _per_step(title: str, problem: Problem, made_by: dict[str, Callable]) -> Case:
    makers = {name: make(problem) for name, make in made_by.items()}
    return Case(title, makers, unit="us", factor=1e6 / problem.n_steps)


def _table(n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, 20)).astype(np.float32)
    return X, (X[:, 0] * X[:, 1] > 0).astype(int)


def _fit(make: Callable[[], Any], X: np.ndarray, y: np.ndarray) -> Any:
    return make().fit(X, y)


def _classifier(**options: Any) -> SparseInitMLPClassifier:
    return SparseInitMLPClassifier(random_state=0, device="cpu", **options)
