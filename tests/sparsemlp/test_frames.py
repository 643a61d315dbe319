"""Tables as they come: which columns hold categories, their codes, and what is said of columns of neither kind."""

import datetime
import enum

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers.small import TOWNS, mixed_table, small_classifier
from scipy import sparse


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def test_the_dtypes_of_pandas_and_polars_say_which_columns_hold_categories():
    X = pd.DataFrame(
        {
            "category": pd.Categorical(["a", "b"] * 40),
            "string": pd.array(["a", "b"] * 40, dtype="string"),
            "object": pd.Series(["a", "b"] * 40, dtype=object),
            "bool": [True, False] * 40,
            "numbers": pd.Series([1, 2.5, None, 3] * 20, dtype=object),
            "nullable": pd.array([1, None] * 40, dtype="Int64"),
            "float": np.arange(80.0),
        }
    )
    y = np.tile([0, 1, 1, 0], 20)
    clf = small_classifier(max_epochs=1).fit(X, y)
    assert clf._categories.is_categorical.tolist() == [True, True, True, False, False, False, False]
    P = pl.DataFrame(
        {
            "categorical": pl.Series(["a", "b"] * 40, dtype=pl.Categorical),
            "enum": pl.Series(["a", "b"] * 40, dtype=pl.Enum(["b", "a"])),
            "string": ["a", "b"] * 40,
            "bool": [True, False] * 40,
            "int": list(range(80)),
        }
    )
    clf = small_classifier(max_epochs=1).fit(P, y)
    assert clf._categories.is_categorical.tolist() == [True, True, True, False, False]


def test_frames_of_pandas_and_polars_and_named_integer_codes_give_the_same_predictions():
    X, y = mixed_table()
    expected = small_classifier().fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(
        small_classifier().fit(pl.from_pandas(X), y).predict_proba(pl.from_pandas(X)), expected
    )
    codes = X.assign(
        town=X["town"].map({town: i for i, town in enumerate(sorted(TOWNS))}).astype(int),
        shape=X["shape"].map({"flat": 0.0, "round": 1.0}),
    )
    for asked, table in (
        (["town", "shape"], codes),
        ([1, 2], codes.to_numpy(float)),
        ([-3, -2], codes.to_numpy(float).tolist()),
        ([False, True, True, False], codes.to_numpy(float)),
    ):
        clf = small_classifier(categorical_features=asked).fit(table, y)
        np.testing.assert_array_equal(clf.predict_proba(table), expected)


def test_the_order_of_a_dtypes_categories_and_unused_ones_play_no_part():
    X, y = mixed_table()
    other = X.assign(town=X["town"].cat.set_categories(["Zug", *TOWNS[::-1]], ordered=True))
    np.testing.assert_array_equal(
        small_classifier().fit(X, y).predict_proba(X), small_classifier().fit(other, y).predict_proba(other)
    )


def test_numbers_and_texts_may_be_categories_of_one_column():
    X, y = mixed_table()
    X["town"] = X["town"].astype(object)
    X.loc[::3, "town"] = 7
    X.loc[1::7, "town"] = 2.5
    clf = small_classifier().fit(X, y)
    assert clf._categories.categories[0] == [2.5, 7, *TOWNS]


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "timedelta64[ns]", "period[D]", "complex128"])
def test_a_column_of_another_dtype_is_named_with_what_to_do(dtype):
    X, y = mixed_table(60)
    values = np.arange(60)
    X["when"] = values.astype(dtype) if dtype[0] == "c" else pd.Series(pd.to_datetime(values, unit="D"))
    if dtype == "period[D]":
        X["when"] = X["when"].dt.to_period("D")
    if dtype.startswith("timedelta"):
        X["when"] = X["when"] - X["when"][0]
    with pytest.raises(ValueError, match=r"column 'when' of X has the dtype .*skrub.TableVectorizer"):
        small_classifier().fit(X, y)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["city"], "categorical_features names 'city', which is no column of X"),
        ([4], "categorical_features has 4; it must hold column names, or indices below 4"),
        ([1.5], "categorical_features has 1.5; it must hold column names"),
        ([True], "categorical_features is a mask of 1 columns, but X has 4 features"),
        ([[1], [2]], r"categorical_features has shape \(2, 1\)"),
    ],
)
def test_columns_that_x_does_not_have_are_named(asked, message):
    X, y = mixed_table(60)
    with pytest.raises(ValueError, match=message):
        small_classifier(categorical_features=asked).fit(X, y)


def test_names_need_a_frame_and_sparse_matrices_have_no_categories():
    X = np.random.default_rng(0).integers(3, size=(60, 2)).astype(float)
    y = np.tile([0, 1], 30)
    with pytest.raises(ValueError, match="names the column 'town', but X has no column names; pass indices"):
        small_classifier(categorical_features=["town"]).fit(X, y)
    with pytest.raises(ValueError, match="categorical_features names columns of a sparse matrix"):
        small_classifier(categorical_features=[0]).fit(sparse.csr_array(X), y)


def test_a_column_of_lists_is_named():
    X, y = mixed_table(60)
    X["tags"] = [["a"]] * 60
    with pytest.raises(ValueError, match="column 'tags' of X holds values that are no categories"):
        small_classifier().fit(X, y)


def test_a_table_of_numbers_gives_the_same_bits_with_and_without_the_parameter():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 4)), np.tile([0, 1], 100)
    expected = small_classifier().fit(X, y).predict_proba(X)
    for asked in (None, []):
        np.testing.assert_array_equal(
            small_classifier(categorical_features=asked).fit(X, y).predict_proba(X), expected
        )
    frame = pd.DataFrame(X, columns=list("abcd"))
    np.testing.assert_array_equal(small_classifier().fit(frame, y).predict_proba(frame), expected)


def test_missing_and_unknown_categories_are_neither_an_error_nor_a_crash():
    X, y = mixed_table()
    clf = small_classifier().fit(X, y)
    odd = X[:4].assign(town=["Bonn", "Utopia", None, 3], shape=[None, "square", np.nan, ("a", 1)])
    assert np.isfinite(clf.predict_proba(odd)).all()
    unknown = X[:2].assign(town=["Utopia", "Erewhon"])
    one, other = clf.predict_proba(unknown.assign(length=0.0, age=0.0, shape="flat"))
    np.testing.assert_array_equal(one, other)


def test_other_columns_than_in_training_are_refused_in_scikit_learns_words():
    X, y = mixed_table()
    clf = small_classifier().fit(X, y)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(X[["town", "length", "shape", "age"]])
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(X[["town", "length", "shape"]])


def test_a_text_in_a_column_of_numbers_is_refused():
    X, y = mixed_table()
    clf = small_classifier().fit(X, y)
    with pytest.raises(ValueError, match="column 'age' of X is not numeric: 'old' in row 0"):
        clf.predict(X.assign(age="old"))


@pytest.mark.parametrize(
    "values",
    [
        [datetime.date(2020, 1, 1) + datetime.timedelta(i) for i in range(60)],
        list(pd.date_range("2020", periods=60)),
        list(pd.to_timedelta(np.arange(60), unit="D")),
        [1j] * 60,
    ],
    ids=["date", "datetime", "timedelta", "complex"],
)
def test_objects_that_are_times_are_no_categories_unless_they_are_named(values):
    X, y = mixed_table(60)
    X["when"] = pd.Series(values, dtype=object)
    with pytest.raises(
        ValueError, match=r"column 'when' of X has the dtype object, and holds objects of type .*skrub"
    ):
        small_classifier().fit(X, y)
    clf = small_classifier(categorical_features=["town", "shape", "when"], max_epochs=1).fit(X, y)
    assert len(clf._categories.categories[2]) == len(set(values))


@pytest.mark.parametrize("values", [list(Colour), [("x", None), ("x", "y")]], ids=["Enum", "tuples"])
def test_categories_need_no_order(values):
    X, y = mixed_table(60)
    X["any"] = pd.Series(values * 30, dtype=object)
    clf = small_classifier(max_epochs=1).fit(X, y)
    other = small_classifier(max_epochs=1).fit(X[::-1], y[::-1])
    assert clf._categories.categories[2] == other._categories.categories[2]
    assert set(clf._categories.categories[2]) == set(values)


@pytest.mark.parametrize("missing", [None, np.nan, np.float32("nan"), pd.NA, pd.NaT], ids=repr)
def test_every_kind_of_missing_value_in_an_array_of_objects_is_missing(missing):
    X, y = mixed_table()
    objects = X.astype(object).where(X.notna(), None).to_numpy()
    options = {"categorical_features": [1, 2], "max_epochs": 2}
    expected = small_classifier(**options).fit(objects, y).predict_proba(objects)
    other = objects.copy()
    other[[value is None for value in objects[:, 2]], 2] = missing
    np.testing.assert_array_equal(small_classifier(**options).fit(other, y).predict_proba(other), expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.inf, "infinity.*: column 3 of X has it in row 4"), ("old", "column 3 of X is not num")],
)
def test_a_bad_value_beside_categories_is_named_by_its_column_of_the_array(value, message):
    X, y = mixed_table(60)
    objects = X.to_numpy(object)
    objects[4, 3] = value
    with pytest.raises(ValueError, match=message):
        small_classifier(categorical_features=[1, 2]).fit(objects, y)


@pytest.mark.parametrize("to_frame", [pd.DataFrame, pl.DataFrame])
def test_no_rows_and_a_single_column_of_categories_are_refused_in_scikit_learns_words(to_frame):
    clf = small_classifier(max_epochs=1).fit(to_frame({"e": ["u", "v", "w"] * 20}), [0, 1] * 30)
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        clf.predict(to_frame({"e": ["u"]})[:0])
    with pytest.raises(ValueError, match=r"Expected a 2-dimensional container|Expected 2D array"):
        clf.predict(to_frame({"e": ["u"]})["e"])
