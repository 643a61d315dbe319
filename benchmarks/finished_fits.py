"""Finished fits in a CSV file, a line each, so that a run that was stopped goes on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd


class FinishedFits:
    """The fits of a file, each told from the others by the columns of `key`."""

    def __init__(self, path: Path, key: Sequence[str]) -> None:
        self.path, self.key = path, list(key)

    @property
    def is_empty(self) -> bool:
        """Whether none was ever finished."""
        return not self.path.exists()

    def rows(self) -> pd.DataFrame:
        """Return all of them."""
        return pd.DataFrame(columns=self.key) if self.is_empty else pd.read_csv(self.path)

    def missing(self, wanted: pd.MultiIndex) -> pd.MultiIndex:
        """Return those of the wanted keys that are not there, in their order."""
        return wanted.difference(pd.MultiIndex.from_frame(self.rows()[self.key]), sort=False)

    def chosen(self, wanted: pd.MultiIndex) -> pd.DataFrame:
        """Return the fits that are wanted and there."""
        known = self.rows().set_index(self.key)
        return known.loc[known.index.intersection(wanted)].reset_index()

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one."""
        pd.DataFrame([row]).to_csv(self.path, mode="a", header=self.is_empty, index=False)
