"""What the tasks share: checks of their arguments, separate random streams, a support, noise in labels."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import gen_batches

from sparsemlp._validation import check_int

RandomStateLike = int | np.random.Generator | np.random.RandomState | None

# Bounds the temporaries. A multiple of 4, so that the chunks join to one stream of random bytes.
CHUNK_ROWS = 65536


def check_shape(n_samples: int, n_features: int, n_informative: int) -> tuple[int, int, int]:
    """Return the three, or raise an error unless there are rows, and as many features as hidden ones."""
    m, n, k = (
        check_int(name, value)
        for name, value in (("n_samples", n_samples), ("n_features", n_features), ("n_informative", n_informative))
    )
    if k > n:
        raise ValueError(
            f"n_informative={k} is larger than n_features={n}; "
            "there must be at least as many features as hidden ones"
        )
    return m, n, k


def check_fraction(name: str, value: object) -> None:
    """Raise an error unless the value is a probability below one."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number in [0, 1), got {value!r}")
    if not 0 <= float(value) < 1:
        raise ValueError(f"{name}={value} is not in [0, 1); it is the probability that a label is flipped")


def check_noise(regression: bool, noise: float, flip_y: float) -> None:
    """Raise an error unless both kinds of noise are possible, and the one that is asked for is the target's."""
    check_fraction("flip_y", flip_y)
    if not isinstance(noise, Real) or isinstance(noise, bool):
        raise TypeError(f"noise must be a number of at least 0, got {noise!r}")
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise={noise} is no standard deviation; it must be finite and at least 0")
    if regression and flip_y > 0:
        raise ValueError(f"flip_y={flip_y} flips labels, and regression=True has none; use noise, with flip_y=0")
    if not regression and noise > 0:
        raise ValueError(f"noise={noise} is for regression=True; use flip_y to make labels noisy, with noise=0")


def streams(random_state: RandomStateLike) -> Iterator[np.random.Generator]:
    """Return separate generators for the target, the inputs and the noise."""
    if isinstance(random_state, np.random.Generator):
        seeds = random_state.integers(2**32, size=(3, 4), dtype=np.uint32)
    elif isinstance(random_state, np.random.RandomState):
        seeds = random_state.randint(2**32, size=(3, 4), dtype=np.uint32)
    elif random_state is None or (isinstance(random_state, Integral) and not isinstance(random_state, bool)):
        if random_state is not None and random_state < 0:
            raise ValueError(f"random_state={random_state} is negative; an integer seed must be 0 or more")
        seeds = np.random.default_rng(random_state).integers(2**32, size=(3, 4), dtype=np.uint32)
    else:
        raise TypeError(
            "random_state must be None, an integer, a numpy.random.Generator or a numpy.random.RandomState, "
            f"got {random_state!r}"
        )
    return (np.random.default_rng(seed) for seed in seeds)


def choose_support(
    support: ArrayLike | None, n_features: int, n_informative: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Check the user's support, or sample one, in random order."""
    # Sampled even if the user has their own, so that what the generator gives next does not depend on it.
    sampled = rng.choice(n_features, size=n_informative, replace=False)
    if support is None:
        return sampled.astype(np.int64)
    chosen = np.asarray(support)
    if chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer):
        raise TypeError(f"support must be a list of {n_informative} feature indices (integers), got {support!r}")
    if len(chosen) != n_informative:
        raise ValueError(
            f"support has {len(chosen)} indices but n_informative={n_informative}; the two must agree "
            f"(pass n_informative={len(chosen)} to keep this support)"
        )
    outside = chosen[(chosen < 0) | (chosen >= n_features)]
    if len(outside):
        raise ValueError(
            f"support has the index {outside[0]}, which is not a feature; with n_features={n_features}, "
            f"indices must be between 0 and {n_features - 1}"
        )
    values, counts = np.unique(chosen, return_counts=True)
    if len(values) < len(chosen):
        raise ValueError(f"support has the index {values[counts > 1][0]} twice; its indices must be distinct")
    return chosen.astype(np.int64)


def random_signs(n_samples: int, n_features: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return uniform signs; every row takes whole bytes of the stream, so that fewer rows are a prefix of more."""
    row_bytes = -(-n_features // 8)
    X = np.empty((n_samples, n_features), dtype=np.float32)
    for rows in gen_batches(n_samples, CHUNK_ROWS):
        chunk = X[rows]
        packed = np.frombuffer(rng.bytes(len(chunk) * row_bytes), dtype=np.uint8)
        chunk[:] = np.unpackbits(packed.reshape(-1, row_bytes), axis=1, count=n_features)
        chunk *= 2
        chunk -= 1
    return X


def flip_labels(labels: NDArray[np.bool_], flip_y: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Turn labels into 0 and 1, each flipped with probability `flip_y`."""
    return (labels ^ (rng.random(len(labels)) < flip_y)).astype(np.int64)
