"""What tuning chose: the parameters of the best trials."""

import json
from collections import Counter

import pandas as pd

from benchmarks.tabular.summary import Setting

PREFIX = "model__"
MANY_VALUES = 6  # of a number: more are summed up by quartiles


def parameters(setting: Setting, model: str) -> pd.DataFrame:
    """Return the parameters of a model's chosen trials, a row per task and seed, a column per parameter."""
    texts = setting.scores.loc[setting.scores["model"] == model, "parameters"]
    found = [json.loads(text) for text in texts]
    rows = [{name.removeprefix(PREFIX): value for name, value in row.items()} for row in found]
    return pd.DataFrame(rows, dtype=object)  # None stays None


def in_words(values: pd.Series) -> str:
    """Say how values are spread: the commonest ones with their shares, or median and quartiles of numbers."""
    counts = Counter(map(_text, values))
    if len(counts) > MANY_VALUES and values.map(lambda value: type(value) in (int, float)).all():
        low, middle, high = values.astype(float).quantile([0.25, 0.5, 0.75])
        return f"{middle:.3g} ({low:.3g} to {high:.3g})"
    return ", ".join(f"{value}: {count / len(values):.0%}" for value, count in counts.most_common())


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return " x ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
