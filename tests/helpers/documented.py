"""What tests of documented numbers share: a page's text and tables, and how pages write and compare numbers."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
PARITY, DETAILS, LUCK, NETS = (ROOT / "docs" / f"parity{name}.md" for name in ("", "-details", "-luck", "-nets"))
SPARSE, TORCH = "sparse, s = 2", "dense, torch's biases"


def cells(page: Path) -> list[list[str]]:
    """Return the rows of all Markdown tables of a page."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def one_line(page: Path) -> str:
    """Return the text of a page without its line breaks."""
    return " ".join(page.read_text(encoding="utf-8").split())


def interval(differences: pd.Series, digits: int = 2) -> str:
    """Return the mean and its standard error, as the pages write them."""
    mean = round(differences.mean(), digits) + 0.0  # what rounds to zero has no minus
    text = f"{mean:+.{digits}f} ± {differences.std() / np.sqrt(len(differences)):.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def steps(runs):
    """Return the steps to success; a run that fails takes for ever."""
    return np.where(runs["succeeded"] == 1, runs["steps"], np.inf)


def p_of_steps(runs, others):
    """Return p of the Mann-Whitney test of two sets of runs' steps."""
    return stats.mannwhitneyu(steps(runs), steps(others)).pvalue


def p_of_counts(*successes):
    """Return p of Fisher's exact test of two sets of runs' successes."""
    return stats.fisher_exact([[int(own.sum()), len(own) - int(own.sum())] for own in successes]).pvalue
