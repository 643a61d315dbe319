"""What single columns, and products of two, say of targets: measured before any tree is grown."""

from __future__ import annotations

import math

import numpy as np
import torch
from sklearn.utils import gen_batches

MIN_LEAF = 5
#: so many classes are predicted one by one; more are divided into two halves, at random, so many times
MAX_DIVISIONS = 4
#: single columns are ranked in blocks of about so many values
BLOCK_VALUES = 2**18
#: products of two columns are computed of rows so few that they take about so many multiplications
PAIR_PRODUCTS = 10**9
#: a product stands out if its correlation is so many standard errors above what the largest of as many random ones
#: is about, at least this large, and this share of the largest of a single column
ABOVE_CHANCE, CORRELATION, OF_SINGLE = 2.0, 0.3, 2 / 3
#: a column with values farther from its mean, in standard deviations, has too few of these for products: ranks
#: reach 1.7, the rarer of two values is in at least a fifth of the rows
RARE = 2.0


def smallest_leaf(n_rows: int) -> int:
    """Return how many rows a leaf has at least."""
    return max(1, min(MIN_LEAF, n_rows // 10))


def divisions(target: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return what trees are to predict: each of a few outputs, or which random half a class is in."""
    n_outputs = target.shape[1]
    if n_outputs <= MAX_DIVISIONS:
        return list(target.T)
    return [target[:, rng.permutation(n_outputs)[: n_outputs // 2]].sum(axis=1) for _ in range(MAX_DIVISIONS)]


def split_gains(
    columns: np.ndarray, target: np.ndarray, weight: np.ndarray, generator: torch.Generator
) -> np.ndarray:
    """Return by how much the best single split of each column lowers the squared loss of a constant prediction.

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_columns)
        Scaled rows.
    target : ndarray of shape (n_rows, n_outputs)
        Targets; many classes are divided into halves, as for trees.
    weight : ndarray of shape (n_members, n_rows)
        The weights of the rows for each member, 0 for those that it does not train on.
    generator : torch.Generator
        For the halves.

    Returns
    -------
    ndarray of shape (n_members, n_columns)
    """
    rng = np.random.default_rng(int(torch.randint(2**31 - 1, (1,), generator=generator)))
    goals = divisions(np.asarray(target, dtype=np.float64), rng)
    fewest = smallest_leaf(int((weight > 0).sum(axis=1).min()))
    gains = np.zeros((len(weight), columns.shape[1]))
    for block in gen_batches(columns.shape[1], max(1, BLOCK_VALUES // len(columns))):
        order = np.argsort(columns[:, block], axis=0, kind="stable")
        in_order = np.take_along_axis(columns[:, block], order, axis=0)
        is_tied = in_order[1:] == in_order[:-1]
        for own, gain in zip(weight, gains, strict=True):
            below, n_below = own[order].cumsum(axis=0), (own > 0)[order].cumsum(axis=0)[:-1]
            total, below = own.sum(), below[:-1]
            is_split = ~is_tied & (n_below >= fewest) & ((own > 0).sum() - n_below >= fewest)
            lowered = np.zeros(below.shape)
            for goal in goals:
                deviation = own * (goal - np.average(goal, weights=own))
                lowered += deviation[order].cumsum(axis=0)[:-1] ** 2
            with np.errstate(divide="ignore", invalid="ignore"):  # of what is no split
                lowered *= total / (below * (total - below))
            gain[block] = np.where(is_split, lowered, 0).max(axis=0, initial=0)
    return gains


def strongest_pair(columns: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    """Return the two columns whose product correlates most with the target; None where none stands out.

    A tree asks about one column after the other: of the sign of a product of two columns it finds neither, until
    chance has split one of them. The correlations of all products of two are a few products of matrices. (Reese,
    Dai and Fu 2018, *Strong sure screening of ultra-high dimensional data with interaction effects*,
    arXiv:1801.07785.)

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_columns)
        Ranks, or others of which none is extreme.
    target : ndarray of shape (n_rows,)
    weight : ndarray of shape (n_rows,)
        Weights of the rows, of mean 1.

    Returns
    -------
    ndarray of shape (2,), int, or None
    """
    n_columns = columns.shape[1]
    if n_columns < 2:
        return None
    some = slice(None, None, math.ceil(len(columns) * n_columns**2 / PAIR_PRODUCTS))
    z, w = (torch.from_numpy(values[some].astype(np.float32)) for values in (columns, weight))
    z = z - w @ z / w.sum()
    z = z / (w @ z**2 / w.sum()).sqrt()
    z[:, ~(z.abs().amax(dim=0) < RARE)] = 0  # also where a column has one value
    deviation = weight[some] * (target[some] - np.average(target[some], weights=weight[some]))
    y = torch.from_numpy((deviation / max(np.abs(deviation).max(), np.finfo(np.float64).tiny)).astype(np.float32))
    tiny, noise, square = torch.finfo(torch.float32).tiny, (y**2).unsqueeze(1), z**2
    single = (y @ z).abs() / (noise.T @ square + tiny).sqrt()
    product = (z.T @ (y.unsqueeze(1) * z)).abs() / (square.T @ (noise * square) + tiny).sqrt()
    product.fill_diagonal_(0)
    by_chance = math.sqrt(2 * math.log(n_columns * (n_columns - 1) / 2 + 1))
    strongest = int(product.argmax())
    found = float(product.view(-1)[strongest])
    needed = (by_chance + ABOVE_CHANCE, CORRELATION * math.sqrt(len(z)), OF_SINGLE * float(single.max()))
    if found < max(needed):
        return None
    return np.array(divmod(strongest, n_columns))


def without_linear_effects(columns: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return what a linear function of the columns leaves of the target, shape (n_rows,)."""
    design = np.column_stack([columns, np.ones(len(columns))])
    root = np.sqrt(weight)
    return target - design @ np.linalg.lstsq(root[:, np.newaxis] * design, root * target, rcond=None)[0]
