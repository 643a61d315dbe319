"""Training and prediction speed against the peers and the floor of the matrix products.

Everything is timed in one process, the contenders in turn and several times over, so that the ratios hold
where the machine's speed drifts; medians are reported. Memory is read from processes of their own.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from math import log
from statistics import median
from typing import Any

from benchmarks.cli import add_common, make_folder, whole_number, with_profile
from benchmarks.environment import machine, versions
from benchmarks.results import jsonl

HELP = "time per step, fit and prediction against the peers and the floor"
FILE = "speed.json"
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {"repeats": 1, "scale": 0.02, "widths": [100, 1000]},
    "quick": {"repeats": 5, "scale": 0.3, "widths": [100, 1000, 10_000, 100_000]},
    "full": {"repeats": 7, "scale": 1.0, "widths": [100, 1000, 10_000, 100_000]},
}
Times = dict[str, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``speed``."""
    add_common(parser)
    parser.add_argument(
        "--repeats", type=whole_number(1), default=argparse.SUPPRESS, help="rounds of every comparison"
    )
    parser.add_argument(
        "--threads", type=whole_number(1), help="CPU threads of torch (default: torch's own choice)"
    )


def run(args: argparse.Namespace) -> int:
    """Time everything, write it to a file that the report reads, and print the tables."""
    import torch

    from benchmarks.speed import sections

    options = with_profile(args, PROFILES)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    make_folder(args.results)
    measured = {
        "command": args.command_line,
        "machine": machine() | {"threads": torch.get_num_threads()},
        "versions": versions(),
        "rows": measure(options["repeats"], options["scale"], options["widths"]),
    }
    if torch.cuda.is_available():
        measured["machine"]["gpu"] = torch.cuda.get_device_name()
    measured["slopes"] = slopes(measured["rows"])
    path = args.results / FILE
    jsonl.write(path, measured)
    for table in sections.tables(measured):
        print(f"\n{table.caption}\n\n{table.markdown()}")
    print(f"\nWritten to {path}; the report of `tabular` or `parity` in the same folder has it, too.")
    return 0


def measure(repeats: int, scale: float, widths: list[int]) -> list[dict[str, Any]]:
    """Time every comparison and return a row for each contender in each."""
    from benchmarks.speed import cases

    rows = []
    for case in cases.cases(scale, widths):
        print(f"{case.title} ...", file=sys.stderr, flush=True)
        rounds, warm_up = (1, False) if case.once else (repeats, True)
        times = interleaved(case.contenders, rounds, warm_up)
        rows += [
            {
                "case": case.title,
                "unit": case.unit,
                "contender": name,
                "value": value * case.factor,
                "ratio": value / times[case.contender],
                "floor": value / times["floor"] if "floor" in times else None,
                "grows_with": case.grows_with,
            }
            for name, value in times.items()
        ]
    rows += [row for size in cases.MEMORY_SIZES if (row := _memory(*size, scale))]
    return rows + _neighbour(repeats, scale) + _harness(repeats)


def _neighbour(repeats: int, scale: float) -> list[dict[str, Any]]:
    """Return rows on fits and predictions beside a busy process; fewer rows where `scale` is small."""
    from benchmarks.speed.neighbour import beside_a_busy_process

    print("fits and predictions beside a busy process ...", file=sys.stderr, flush=True)
    size = min(1.0, 4 * scale)
    return [
        row
        for found in beside_a_busy_process(repeats, int(5000 * size), int(10_000 * size))
        for row in _over_alone(f"{found['what']}, {found['model']}", found, "beside", "beside a busy process")
    ]


def _harness(repeats: int) -> list[dict[str, Any]]:
    """Return rows on what the benchmark's own harness adds to the seconds of a fit."""
    from benchmarks.speed.overhead import harness_overhead

    print("fits through the harness of the benchmark ...", file=sys.stderr, flush=True)
    return [
        row
        for found in harness_overhead(repeats=repeats)
        for row in _over_alone(f"fit of {found['model']} on 1000 rows", found, "harness", "through the harness")
    ]


def _over_alone(case: str, found: dict[str, Any], key: str, contender: str) -> list[dict[str, Any]]:
    """Return the rows of something done alone, and in another way, whose seconds are under `key`."""
    if "failure" in found:
        untimed = {"unit": "s", "value": None, "ratio": None, "floor": None, "grows_with": None}
        return [{"case": case, "contender": contender, **untimed, "failure": found["failure"]}]
    return [
        {
            "case": case,
            "unit": "s",
            "contender": name,
            "value": seconds,
            "ratio": seconds / found["alone"],
            "floor": None,
            "grows_with": None,
        }
        for name, seconds in (("alone", found["alone"]), (contender, found[key]))
    ]


def _memory(n_samples: int, n_features: int, width: int, scale: float) -> dict[str, Any] | None:
    """Return the row of one fit's peak memory, and its ratio to the least that a fit needs."""
    from benchmarks.speed import cases

    n_samples = max(1000, int(n_samples * scale))
    found = cases.peak_of_fit(n_samples, n_features, width)
    if found is None:
        return None
    return {
        "case": f"peak memory, {n_samples} rows x {n_features}, width {width}",
        "unit": "MiB",
        "contender": cases.OURS,
        "value": found["peak"] / 2**20,
        "ratio": 1.0,
        "floor": found["peak"] / found["floor"],
        "grows_with": None,
    }


def interleaved(contenders: Mapping[str, Callable[[], Any]], repeats: int, warm_up: bool = True) -> Times:
    """Run all contenders in turn `repeats` times, after a round to warm up; return median seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(-int(warm_up), repeats):
        for name, work in contenders.items():
            start = time.perf_counter()
            work()
            if round_ >= 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in seconds.items()}


def slopes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return by which power a time grows: for each contender, between the sizes of every series."""
    series: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        if row["grows_with"] is not None:
            what, size = row["grows_with"]
            series.setdefault((what, row["contender"]), []).append((size, row["value"]))
    return [
        {"what": what, "contender": name, "from": a[0], "to": b[0], "power": log(b[1] / a[1]) / log(b[0] / a[0])}
        for (what, name), points in series.items()
        for a, b in pairwise(sorted(points))
    ]
