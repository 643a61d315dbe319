"""The sections on success frontiers: what was trained, and what it says of the paper's claims."""

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.parity import figures, statistics, tables
from benchmarks.parity.cells import OUTCOME, curves_picture, outcome_cells, rows_label, spaced
from benchmarks.parity.statistics import Edges, by_cell, with_rows
from benchmarks.report.document import Picture, Section, Table
from sparsemlp.frontier import Setting
from sparsemlp.theory import sq_threshold

# The bound lets a learner be lucky with this probability; it is that of the edge of success.
DELTA = 0.5


def sections(shared: dict[str, Any], runs: pd.DataFrame) -> list[Section]:
    """Return the section of one frontier, and where it is a grid one on what it shows."""
    cells = by_cell(runs)
    name = f"({shared['n_features']}, {shared['n_informative']})-{shared['target'].replace('_', ' ')}"
    title = f"{name}, at most {spaced(shared['max_steps'])} steps"
    slug = _slug(shared)
    section = Section(f"Success frontier: {name}", [_setting_words(shared)], [cell_table(cells)])
    section.figures.append(
        Picture(
            slug,
            f"Success frontier of {name} by training rows and width: runs that succeeded out of all, and below it "
            "the median steps they took.",
            figures.plane(cells, title),
        )
    )
    offline = with_rows(cells)
    if offline["n_samples"].nunique() > 1:
        section.figures.append(
            Picture(
                f"{slug}-by-rows",
                "Success against training rows by width, with 95 % Wilson intervals, and the median steps of the "
                "runs that succeed.",
                figures.lines(offline, "n_samples", "width", "sparsity", title),
            )
        )
    if runs["curve"].notna().any():
        section.figures.append(curves_picture(runs, f"{slug}-curves", title))
    grid = offline["width"].nunique() > 1 and offline["n_samples"].nunique() > 2
    return [section, claims_section(shared, runs, cells, slug)] if grid else [section]


def _setting_words(shared: dict[str, Any]) -> str:
    noise = f", {shared['flip_y']:.0%} of the training labels wrong" if shared["flip_y"] else ""
    return (
        f"{shared['n_informative']} hidden inputs out of {shared['n_features']} decide the label{noise}. A run "
        f"succeeds when its test error is at most 10 % within {spaced(shared['max_steps'])} steps of SGD "
        f"({shared['loss']} loss, learning rate {shared['learning_rate']:g}, {shared['decay']} weight decay of "
        f"{shared['weight_decay']:g}, batches of {shared['batch_size']}, initial weights: {shared['init']} x "
        f"{shared['init_scale']:g}, seed {shared['random_state']})."
    )


def _slug(shared: dict[str, Any]) -> str:
    """Return a file name that tells settings apart: those that are not the default are part of it."""
    plain = tables.setting_key(Setting())
    parts = [f"parity-{shared['n_features']}-{shared['n_informative']}-{shared['max_steps']}"]
    named = [name for name in shared if name not in ("n_features", "n_informative", "max_steps")]
    parts += [f"{name}-{shared[name]}" for name in named if shared[name] != plain[name]]
    return "-".join(parts).replace("_", "-").replace(".", "p")


def cell_table(cells: pd.DataFrame) -> Table:
    """Return the table of all cells."""
    rows = [
        [
            figures.start_label(cell["sparsity"]),
            rows_label(cell["n_samples"]),
            str(cell["width"]),
            *outcome_cells(cell),
        ]
        for cell in cells.to_dict("records")
    ]
    head = ["initialisation", "training rows", "width", *OUTCOME]
    return Table("Every cell: runs that succeeded, Wilson interval, steps of those.", head, rows, long=True)


# What a grid shows ------------------------------------------------------------------------------------


def claims_section(shared: dict[str, Any], runs: pd.DataFrame, cells: pd.DataFrame, slug: str) -> Section:
    """Return what a grid says about width, sparse starts, and the edge of success."""
    found = Edges(runs)
    sparse = max(s for s, _ in found.tables)
    text = [width_words(cells), *edge_words(found, sparse)]
    threshold = sq_threshold(shared["n_features"], shared["n_informative"])

    def bound(width: float) -> float:
        return DELTA * threshold / (width * shared["max_steps"])

    picture = Picture(
        f"{slug}-edge",
        "Training rows at which half of the runs succeed, by width, with 95 % bootstrap intervals. Dashed: the "
        "rows below which the statistical-query bound (Proposition 3) rules out success with probability "
        f"{DELTA:g}, a floor that the measured edge lies far above.",
        figures.edges(found, bound, "The edge of success and the bound"),
    )
    tables = [table for table in (violation_table(cells), edge_table(found, sparse)) if table.rows]
    return Section("What this frontier shows", text, tables, [picture], brief=2)


def width_words(cells: pd.DataFrame) -> str:
    """Say how often a wider net succeeded less."""
    found = statistics.violations(cells)
    n_pairs = statistics.n_comparisons(cells)
    n_significant = int(found["significant"].sum()) if len(found) else 0
    return (
        f"Width never hurts: of {n_pairs} pairs of widths of the same column, the wider net succeeded less often "
        f"in {len(found)}, and in {n_significant} of them by more than the 95 % interval allows "
        f"(about {0.025 * n_pairs:.1f} would by chance if all pairs were equal)."
    )


def edge_words(found: Edges, sparse: int) -> list[str]:
    """Say how far the sparse start is ahead, and how the edge falls with width."""
    words = []
    ratio = found.mean_ratio(sparse) if sparse and any(s == 0 for s, _ in found.tables) else None
    if ratio is not None:
        words.append(
            f"Sparse against dense (s = {sparse}): the dense start needs {ratio[0]:.2f} times as many rows for "
            f"half of the runs to succeed (geometric mean over widths {', '.join(map(str, ratio[1]))}; 95 % "
            "bootstrap interval)."
        )
    for sparsity in sorted({s for s, _ in found.tables}, reverse=True):
        slope = found.slope(sparsity)
        if slope is not None:
            words.append(
                f"Slope of the edge, {figures.start_label(sparsity)}: log rows by log width "
                f"{slope[0]:.2f}, over widths {', '.join(map(str, slope[1]))}. A constant product of rows and "
                "width, as in the statistical-query bound and in Theorem 5 from one s to the next, would be -1."
            )
    return words


def violation_table(cells: pd.DataFrame) -> Table:
    """Return the table of pairs of widths where the wider net succeeded less often."""
    rows = [
        [
            figures.start_label(row["sparsity"]),
            rows_label(row["n_samples"]),
            f"{row['narrow']} -> {row['wide']}",
            f"{row['narrow_rate']} -> {row['wide_rate']}",
            f"{row['drop']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
            "yes" if row["significant"] else "no",
        ]
        for row in statistics.violations(cells).to_dict("records")
    ]
    head = ["initialisation", "training rows", "width", "succeeded", "drop in rate (95 %)", "beyond the interval"]
    return Table("Violations of 'width never hurts': every pair whose wider net succeeded less.", head, rows)


def edge_table(found: Edges, sparse: int) -> Table:
    """Return the table of the edge by width, sparse beside dense where there is a sparse start."""
    rows = []
    fewest = int(found.sizes.min())
    for width in found.widths(sparse):
        texts = [str(width), _edge(found.edge(sparse, width), fewest)]
        if sparse and (0, width) in found.tables:
            texts += [_edge(found.edge(0, width), fewest), _ratio(found.ratio(width, sparse))]
        elif sparse:
            texts += ["-", "-"]
        rows.append(texts)
    head = ["width", figures.start_label(sparse)] + (["dense", "dense over sparse"] if sparse else [])
    caption = f"Rows at which half of the runs succeed, up to {found.sizes.max()}, with 95 % bootstrap intervals."
    return Table(caption, head, rows)


def _edge(estimate: statistics.Estimate, fewest: int) -> str:
    return _with_interval(estimate, "not reached", f"at most {fewest}")


def _ratio(estimate: statistics.Estimate) -> str:
    return _with_interval(estimate, "unbounded", "0")


def _with_interval(estimate: statistics.Estimate, infinite: str, zero: str) -> str:
    if np.isnan(estimate.value):
        return "-"
    words = {np.inf: infinite, 0.0: zero}
    ends = (estimate.value, estimate.low, estimate.high)
    texts = [words.get(x, f"{x:.{0 if x >= 100 else 2}f}") for x in ends]
    return texts[0] if len(set(texts)) == 1 else f"{texts[0]} ({texts[1]} to {texts[2]})"
