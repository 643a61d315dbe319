"""Finished fits in a file, a line each, so that a run that was stopped goes on."""

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.environment import CODE, package_code
from benchmarks.results.jsonl import JsonLines


class FinishedFits:
    """The fits of a file that the package made with its present code.

    Every line has the fingerprint of the code that made it. Fits of other code stay in the file, but are done
    again where they are wanted.

    Parameters
    ----------
    path : Path
        The file of JSON lines, which need not be there yet.
    key : sequence of str
        The columns by which a fit is told from the others; of several with the same, the last one counts.
    """

    def __init__(self, path: Path, key: Sequence[str]) -> None:
        self.key = list(key)
        self._file = JsonLines(path)

    def rows(self) -> pd.DataFrame:
        """Return all of them; None becomes NaN."""
        return self._frame(present=True)

    def missing(self, wanted: pd.MultiIndex) -> pd.MultiIndex:
        """Return the wanted keys that are not there, in their order; say how many other code has left there."""
        missing = wanted.difference(self._keys(self.rows()), sort=False)
        others = self._keys(self._frame(present=False))
        if n_again := len(missing.intersection(others)):
            print(f"finished fits done again, as other code of sparsemlp made them: {n_again}", file=sys.stderr)
        return missing

    def chosen(self, wanted: pd.MultiIndex) -> pd.DataFrame:
        """Return the fits that are wanted and there."""
        known = self.rows().set_index(self.key)
        return known.loc[known.index.intersection(wanted)].reset_index()

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one."""
        self._file.append({CODE: package_code(), **row})

    def _keys(self, rows: pd.DataFrame) -> pd.MultiIndex:
        return pd.MultiIndex.from_frame(rows[self.key])

    def _frame(self, *, present: bool) -> pd.DataFrame:
        """Return the fits of the present code, or those of any other."""
        lines = [line for line in self._file.read() if (line.pop(CODE, None) == package_code()) == present]
        if not lines:
            return pd.DataFrame(columns=self.key)
        rows = [{name: math.nan if value is None else value for name, value in line.items()} for line in lines]
        return pd.DataFrame(rows).drop_duplicates(self.key, keep="last", ignore_index=True)
