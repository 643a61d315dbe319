"""Files of JSON lines: types, killed processes, what JSON does not hold."""

import math

import numpy as np
import pytest

from benchmarks.results.jsonl import JsonLines


@pytest.fixture
def file(tmp_path):
    return JsonLines(tmp_path / "fits.jsonl")


def test_types_survive(file):
    line = {"task": "NA", "seed": 1, "name": "007", "score": 1 / 3, "long": 2**62, "failure": None}
    file.append(line)
    file.append(line | {"seed": np.int64(2), "score": np.float32(0.5), "failure": "ValueError: ü, \u2028\n"})
    file.append({"loss": math.nan, "x": np.inf})
    first, second, third = file.read()
    assert first == line
    assert isinstance(first["seed"], int)
    assert second == line | {"seed": 2, "score": 0.5, "failure": "ValueError: ü, \u2028\n"}
    assert math.isnan(third["loss"])
    assert third["x"] == math.inf


def test_half_a_line_of_a_killed_process_is_skipped_and_the_next_one_is_whole(file):
    for seed in (0, 1):
        file.append({"task": "a", "seed": seed})
    file.path.write_bytes(file.path.read_bytes()[:-7])
    assert file.read() == [{"task": "a", "seed": 0}]
    file.append({"task": "a", "seed": 2})
    assert [line["seed"] for line in file.read()] == [0, 2]


def test_what_json_does_not_hold_is_refused_and_leaves_no_half_line(file):
    with pytest.raises(TypeError, match="got <object object"):
        file.append({"x": object()})
    assert file.read() == []
