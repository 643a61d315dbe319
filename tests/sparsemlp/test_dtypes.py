"""What a column holds, by the dtype that numpy, pandas or polars give it."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sparsemlp._dtypes import kind_of

KINDS = {
    "number": [
        *map(np.dtype, ("bool", "int8", "uint64", "float16", "float64")),
        *(pd.Int64Dtype(), pd.Float32Dtype(), pd.BooleanDtype(), pd.SparseDtype(float)),
        *(pl.Int8(), pl.Float64(), pl.Boolean(), pl.Decimal(10, 2)),
    ],
    "category": [
        *(np.dtype(object), np.dtype("U3"), pd.StringDtype(), pd.CategoricalDtype()),
        pd.CategoricalDtype([1, 2]),
        *(pl.String(), pl.Categorical(), pl.Enum(["a", "b"])),
    ],
    "time": [
        *(np.dtype("M8[ns]"), np.dtype("m8[s]"), pd.DatetimeTZDtype(tz="UTC")),
        *(pl.Date(), pl.Datetime("us", "UTC"), pl.Duration(), pl.Time()),
    ],
    "other": [np.dtype(complex), np.dtype("V4"), pd.PeriodDtype("D"), pd.IntervalDtype(), pl.List(pl.Int8())],
}


@pytest.mark.parametrize(("kind", "dtype"), [(kind, dtype) for kind, dtypes in KINDS.items() for dtype in dtypes])
def test_a_dtype_says_what_its_column_holds(kind, dtype):
    assert kind_of(dtype) == kind
