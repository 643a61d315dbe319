"""What a grid shows of the paper's claims: width, sparse starts, and the rows at which success begins."""

from math import comb
from typing import Any

import pandas as pd

from benchmarks.parity import figures
from benchmarks.parity.success import Edges, informative_pairs, violations
from benchmarks.report.document import Picture, Section, Table

# The bound lets a learner be lucky with this probability; it is that of the edge of success.
DELTA = 0.5


def section(shared: dict[str, Any], runs: pd.DataFrame, rates: pd.DataFrame, slug: str) -> Section:
    """Return what a grid says about width, sparse starts, and the edge of success."""
    edges = Edges(runs)
    n, k = shared["n_features"], shared["n_informative"]

    def bound(width: int) -> float:  # sparsemlp.theory.sq_lower_bound before it is made a whole number
        n_parameters = width * (n + 2) + 1
        return DELTA * comb(n, k) / 2 / (n_parameters * shared["max_steps"])

    picture = Picture(
        f"{slug}-edge",
        "Training rows at which half of the runs succeed, by width, with 95 % bootstrap intervals. Below: the "
        "rows below which the statistical-query bound (Proposition 3, with all parameters of the net) rules out "
        f"success with probability {DELTA:g}, a floor that the measured edge lies far above.",
        figures.edges(edges, bound, "The edge of success and the bound"),
    )
    tables = [table for table in (_violation_table(rates), _edge_table(edges)) if table.rows]
    text = [_width_words(rates), *_ratio_words(edges), *_slope_words(edges)]
    return Section("What this frontier shows", text, tables, [picture], brief=2)


def _width_words(rates: pd.DataFrame) -> str:
    found = violations(rates)
    n_pairs, n_informative = informative_pairs(rates)
    n_significant = int(found["significant"].sum()) if len(found) else 0
    return (
        f"Width never hurts: of {n_pairs} pairs of widths of the same column, the wider net succeeded less often "
        f"in {len(found)}, and in {n_significant} of them by more than the 95 % interval allows. "
        f"{n_pairs - n_informative} of the pairs say nothing: none of their runs succeeds, or every one."
    )


def _pairs(edges: Edges) -> list[tuple[str, str]]:
    """Return the pairs of a sparse and a dense start."""
    dense = [start for start in edges.starts if start.startswith("dense")]
    return [(sparse, other) for sparse in edges.starts if sparse not in dense for other in dense]


def _ratio_words(edges: Edges) -> list[str]:
    words = []
    for sparse, dense in _pairs(edges):
        ratio = edges.mean_ratio(sparse, dense)
        if ratio is not None and str(ratio[0]) != "-":
            words.append(
                f"{dense.capitalize()}, against {sparse}: half of the runs succeed with {ratio[0]} times as many "
                f"rows (geometric mean over widths {', '.join(map(str, ratio[1]))}, 95 % bootstrap interval; "
                "where half succeed with the fewest rows, or fail with the most, the ratio is a bound)."
            )
    return words


def _slope_words(edges: Edges) -> list[str]:
    slopes = {start: edges.slope(start) for start in edges.starts}
    return [
        f"Slope of the edge, {start}: log rows by log width {slope[0]:.2f}, over widths whose edge is within the "
        f"grid, {', '.join(map(str, slope[1]))}. A constant product of rows and width, as in the "
        "statistical-query bound and in Theorem 5 from one s to the next, would be -1."
        for start, slope in slopes.items()
        if slope is not None
    ]


def _violation_table(rates: pd.DataFrame) -> Table:
    rows = [
        [
            row["start"],
            figures.rows_name(row["n_samples"]),
            f"{row['narrow']} -> {row['wide']}",
            f"{row['narrow_rate']} -> {row['wide_rate']}",
            f"{row['drop']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
            "yes" if row["significant"] else "no",
        ]
        for row in violations(rates).to_dict("records")
    ]
    head = ["initialisation", "training rows", "width", "succeeded", "drop in rate (95 %)", "beyond the interval"]
    return Table("Violations of 'width never hurts': every pair whose wider net succeeded less.", head, rows)


def _edge_table(edges: Edges) -> Table:
    """Return the table of the edge by width, and of the ratios of dense to sparse starts."""
    pairs = _pairs(edges)
    rows = []
    for width in sorted({width for _, width in edges.ends}):
        found = [str(edges.edge(start, width)) if (start, width) in edges.ends else "-" for start in edges.starts]
        for sparse, dense in pairs:
            both = (sparse, width) in edges.ends and (dense, width) in edges.ends
            found.append(str(edges.ratio(width, sparse, dense)) if both else "-")
        rows.append([str(width), *found])
    head = ["width", *edges.starts, *(f"{dense} / {sparse}" for sparse, dense in pairs)]
    caption = f"Rows at which half of the runs succeed, up to {edges.sizes.max()}, with 95 % bootstrap intervals."
    return Table(caption, head, rows)
