"""What the dtype of a column says, of numpy, pandas or polars: numbers, categories, times, or something else."""

from __future__ import annotations

from typing import Any, Literal

#: how the names of polars' types start; those of times, pandas and numpy have the kinds "m" and "M"
POLARS_CATEGORIES = ("Categorical", "Enum", "String", "Utf8")
POLARS_TIMES = ("Date", "Duration", "Time")
#: what to do with a column that is neither of numbers nor of categories
RECIPE = (
    "pass numbers, such as days since a date, or categories; skrub.TableVectorizer or skrub.DatetimeEncoder makes "
    "them. Or leave it out"
)


def kind_of(dtype: Any) -> Literal["number", "category", "time", "other"]:
    """Say what a column of this dtype holds."""
    name, kind = str(dtype), getattr(dtype, "kind", "O")
    if kind in ("m", "M") or name.startswith(POLARS_TIMES):
        return "time"
    if hasattr(dtype, "is_numeric"):  # polars
        if dtype.is_numeric() or name == "Boolean":
            return "number"
        return "category" if name.startswith(POLARS_CATEGORIES) else "other"
    if kind in "biuf" and name != "category":
        return "number"
    is_text = name in ("category", "object", "str", "string") or name.startswith(
        ("string", "large_string", "dict")
    )
    return "category" if is_text or kind == "U" else "other"


def refused(name: str, dtype: Any) -> ValueError:
    """Return the error for a column called `name` of a dtype that cannot be read."""
    return ValueError(f"{name} has the dtype {dtype}; {RECIPE}")
