"""What tests of documented numbers share: the tables of a page, and how pages write numbers."""

from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
PARITY, DETAILS, LUCK, NETS = (ROOT / "docs" / f"parity{name}.md" for name in ("", "-details", "-luck", "-nets"))
SPARSE, TORCH = "sparse, s = 2", "dense, torch's biases"


def cells(page: Path) -> list[list[str]]:
    """Return the rows of all Markdown tables of a page."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def interval(differences: pd.Series, digits: int = 2) -> str:
    """Return the mean and its standard error, as the pages write them."""
    text = f"{differences.mean():+.{digits}f} ± {differences.std() / np.sqrt(len(differences)):.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def steps(runs):
    return np.where(runs["succeeded"] == 1, runs["steps"], np.inf)
