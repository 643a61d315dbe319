"""What the report says of the parity study."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.parity import claims, figures
from benchmarks.parity.cost import FILE as COST_FILE
from benchmarks.parity.cost import LONG
from benchmarks.parity.grids import EXPERIMENTS, PROFILES, Experiment, settings_of
from benchmarks.parity.stored_runs import RUNS, SETTING_FIELDS, TICKETS, rows_of, setting_key
from benchmarks.parity.success import rates, with_rows, with_starts
from benchmarks.report.document import CsvFile, Picture, Section, Table, number, span
from benchmarks.results import jsonl
from benchmarks.results.store import Store
from sparsemlp.frontier import Setting

N_CURVES = 6
OUTCOME = ["succeeded", "95 % interval", "median steps", "train error", "test error"]
#: what the settings of a frontier differ in; all else they share
VARIED = ("n_samples", "width", "sparsity", "init", "init_scale", "bias_init")
NETS = ("full", "ticket", "random re-initialisation")


def sections(store: Store, results: Path) -> list[Section]:
    """Return the sections of the parity study: frontiers, cost, experiments, tickets."""
    runs, tickets = with_starts(store.frame(RUNS)), store.frame(TICKETS)
    shown = _whole_experiments(runs)
    found = [part for shared, rows in _frontiers(runs, shown) for part in _frontier(shared, rows)]
    path = results / COST_FILE
    cost = jsonl.read(path) if path.exists() else None
    if cost is not None and len(runs):
        quick = PROFILES["quick"]
        found.append(_cost(cost, rows_of(runs[runs["run"] < quick.runs], settings_of(quick.grid))))
    found += [_experiment(name, rows, cost) for name, rows in shown.items() if name != "slopes"]
    if len(tickets):
        found.append(_tickets(tickets))
    if len(runs):
        found[0].files.append(
            CsvFile("parity-runs.csv", "every run: how it ended; 0 rows are fresh ones", _outcomes(runs))
        )
    return found


def headlines(store: Store) -> list[str]:
    """Say in a sentence for every grid how many runs succeeded, in the settings that all its starts have."""
    runs = with_starts(store.frame(RUNS))
    words = []
    for shared, rows in _frontiers(runs, _whole_experiments(runs)):
        starts = rows.groupby(["n_samples", "width"])["start"].transform("nunique")
        rows = rows[starts == rows["start"].nunique()]
        if rows.empty:
            continue
        counts = rows.groupby("start", observed=True)["succeeded"].agg(["sum", "size"])
        parts = [f"{start}: {int(n)} of {size}" for start, n, size in counts.itertuples()]
        words.append(
            f"Sparse {shared['target'].replace('_', ' ')} ({shared['n_features']}, {shared['n_informative']}), "
            f"runs that succeed within {spaced(shared['max_steps'])} steps over the same grid: {'; '.join(parts)}."
        )
    return words


def _outcomes(runs: pd.DataFrame) -> pd.DataFrame:
    """Return for every run how it ended, and its setting but for what all runs share."""
    varied = [name for name in SETTING_FIELDS if runs[name].nunique() > 1]
    outcome = ["run", "succeeded", "steps", "train_error", "test_error"]
    ordered = runs[varied + outcome].sort_values([*varied, "run"])
    return ordered.assign(succeeded=ordered["succeeded"].astype(int))


def spaced(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}".replace(",", " ")


def _outcome(group: Mapping[Any, Any]) -> list[str]:
    steps = number(group["median_steps"], "{:.0f}")
    if not np.isnan(group["steps_low"]):
        steps += f" ({group['steps_low']:.0f} to {group['steps_high']:.0f})"
    return [
        f"{group['successes']}/{group['runs']}",
        f"{group['low']:.2f} to {group['high']:.2f}",
        steps,
        number(group["train_error"], "{:.3f}"),
        number(group["test_error"], "{:.3f}"),
    ]


# Frontiers --------------------------------------------------------------------------------------------


def _whole_experiments(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the runs of the experiments of which no setting is missing."""
    found = {name: rows_of(runs, experiment.settings) for name, experiment in EXPERIMENTS.items()}
    return {
        name: rows
        for name, rows in found.items()
        if _n_settings(rows) == len(set(EXPERIMENTS[name].settings))
        # the same settings may have been trained for another reason, without curves
        and (not EXPERIMENTS[name].curves or rows["curve"].notna().any())
    }


def _n_settings(runs: pd.DataFrame) -> int:
    return len(runs[list(SETTING_FIELDS)].drop_duplicates())


def _frontiers(runs: pd.DataFrame, shown: Mapping[str, pd.DataFrame]) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Return for every frontier what its settings share, and its runs: all runs but those shown elsewhere.

    An experiment of which no setting is missing has its settings to itself. Those stay whose grid would have a
    hole without them: a profile that is there as a whole, or other runs of the same widths and rows.
    """
    apart = runs["id"].isin([i for name, rows in shown.items() if name != "slopes" for i in rows["id"]])
    profiles = [settings_of(profile.grid) for profile in PROFILES.values()]
    for settings in [EXPERIMENTS["slopes"].settings, *profiles]:
        rows = rows_of(runs, settings)
        if _n_settings(rows) == len(set(settings)):
            apart &= ~runs["id"].isin(rows["id"])
    shared = [name for name in SETTING_FIELDS if name not in VARIED]
    for _, group in runs.groupby([*shared, "start"], observed=True):
        grid = group[~apart[group.index]]
        in_grid = group["width"].isin(grid["width"]) & group["n_samples"].isin(grid["n_samples"])
        apart[group.index] &= ~in_grid
    groups = runs[~apart].groupby(shared, sort=True)
    return [(dict(zip(shared, key, strict=True)), group) for key, group in groups]


def _frontier(shared: dict[str, Any], runs: pd.DataFrame) -> list[Section]:
    """Return the section of one frontier, and where it is a grid one on what it shows."""
    found = rates(runs)
    name = f"({shared['n_features']}, {shared['n_informative']})-{shared['target'].replace('_', ' ')}"
    title = f"{name}, at most {spaced(shared['max_steps'])} steps"
    slug = _slug(shared)
    pictures = [
        Picture(
            slug,
            f"Success frontier of {name} by training rows and width: runs that succeeded out of all, and below it "
            "the median steps they took.",
            figures.plane(found, title),
        )
    ]
    offline = with_rows(found)
    if offline["n_samples"].nunique() > 1:
        caption = (
            "Success against training rows by width, with 95 % Wilson intervals, and the median steps of the runs "
            "that succeed, with exact 95 % intervals."
        )
        figure = figures.lines(offline, "n_samples", "width", "start", title)
        pictures.append(Picture(f"{slug}-by-rows", caption, figure))
    if runs["curve"].notna().any():
        pictures.append(_curves(runs, f"{slug}-curves", title))
    head = ["initialisation", "training rows", "width", *OUTCOME]
    rows = [
        [group["start"], figures.rows_name(group["n_samples"]), str(group["width"]), *_outcome(group)]
        for group in found.to_dict("records")
    ]
    table = Table("Every setting: runs that succeeded, Wilson interval, steps of those.", head, rows, long=True)
    section = Section(f"Success frontier: {name}", [_setting_words(shared)], [table], pictures)
    is_grid = offline["width"].nunique() > 1 and offline["n_samples"].nunique() > 2
    return [section, claims.section(shared, runs, found, slug)] if is_grid else [section]


def _setting_words(shared: dict[str, Any]) -> str:
    noise = f", {shared['flip_y']:.0%} of the training labels wrong" if shared["flip_y"] else ""
    return (
        f"{shared['n_informative']} hidden inputs out of {shared['n_features']} decide the label{noise}. A run "
        f"succeeds when its test error is at most 10 % within {spaced(shared['max_steps'])} steps of SGD "
        f"({shared['loss']} loss, learning rate {shared['learning_rate']:g}, {shared['decay']} weight decay of "
        f"{shared['weight_decay']:g}, batches of {shared['batch_size']}, seed {shared['random_state']}). Sparse "
        "starts have weights of ±1 and zero biases unless their name says otherwise."
    )


def _slug(shared: dict[str, Any]) -> str:
    """Return a file name that tells settings apart: those that are not the default are part of it."""
    plain = setting_key(Setting())
    parts = [f"parity-{shared['n_features']}-{shared['n_informative']}-{shared['max_steps']}"]
    named = [name for name in shared if name not in ("n_features", "n_informative", "max_steps")]
    parts += [f"{name}-{shared[name]}" for name in named if shared[name] != plain[name]]
    return "-".join(parts).replace("_", "-").replace(".", "p")


def _curves(runs: pd.DataFrame, name: str, title: str) -> Picture:
    """Return the figure of errors while training, of the runs that took longest to succeed, one of a setting."""
    with_curve = runs[runs["curve"].notna()]
    slow = with_curve[with_curve["succeeded"].astype(bool)].sort_values("steps", ascending=False)
    chosen = pd.concat([slow, with_curve]).drop_duplicates("id")
    chosen = chosen.drop_duplicates(["n_samples", "width", "start"]).head(N_CURVES)
    single = [
        (
            f"{row['start']}\n{row['width']} neurons, {figures.rows_name(row['n_samples'])} rows",
            np.array(json.loads(row["curve"])),
        )
        for row in chosen.to_dict("records")
    ]
    caption = "Train and test error of single runs. The dotted line is success, which ends a run."
    return Picture(name, caption, figures.curves(single, title))


# Experiments ------------------------------------------------------------------------------------------


def _experiment(name: str, runs: pd.DataFrame, cost: dict[str, Any] | None) -> Section:
    """Return the section of one experiment: its question, its figure, its settings."""
    experiment: Experiment = EXPERIMENTS[name]
    by = tuple(dict.fromkeys((experiment.panel, experiment.line, experiment.x)))
    found = rates(runs, by)
    if experiment.curves:
        pictures = [_curves(runs, f"parity-{name}", experiment.title)]
    else:
        caption = (
            f"{experiment.title}: success with 95 % Wilson intervals and median steps with exact ones, "
            f"{span(found['runs'].min(), found['runs'].max())} runs of each setting."
        )
        figure = figures.lines(found, experiment.x, experiment.line, experiment.panel, experiment.title)
        pictures = [Picture(f"parity-{name}", caption, figure)]
    if name == "seconds" and cost is not None:
        pictures.append(_seconds(found, cost))
    rows = [
        [*(_field(field, group[field]) for field in by), *_outcome(group)] for group in found.to_dict("records")
    ]
    table = Table(
        "Every setting.", [*(figures.NAMES.get(field, field) for field in by), *OUTCOME], rows, long=True
    )
    return Section(f"Experiment: {experiment.title}", [experiment.question], [table], pictures)


def _field(name: str, value: Any) -> str:
    if name == "n_samples":
        return figures.rows_name(value)
    return value if isinstance(value, str) else f"{value:g}"


def _seconds(found: pd.DataFrame, cost: dict[str, Any]) -> Picture:
    table = found.merge(pd.DataFrame(cost["rows"]), on="width").dropna(subset=["median_steps"])
    return Picture(
        "parity-seconds-clock",
        "Median steps to success by width, and the seconds these take on the measured machine: one run in a plain "
        "PyTorch loop, and its share of a batch of runs.",
        figures.seconds(table, "What width costs and saves"),
    )


def _tickets(nets: pd.DataFrame) -> Section:
    """Return the section of the lottery experiment."""
    by = ["n_informative", "n_samples", "loss", "net"]
    nets = nets.assign(net=pd.Categorical(nets["net"], NETS))
    counts = rates(nets, by)
    counts["n_lucky"] = nets.groupby(by, observed=True)["n_lucky"].sum().to_numpy()
    counts["setting"] = [
        f"k = {row['n_informative']}, {figures.rows_name(row['n_samples'])} rows,\n{row['loss'].replace('_', ' ')}"
        for row in counts.to_dict("records")
    ]
    rows = [
        [row["setting"], row["net"], *_outcome(row)[:3], str(row["n_lucky"])] for row in counts.to_dict("records")
    ]
    width, n_neurons = (int(nets[name].iloc[0]) for name in ("width", "n_neurons"))
    text = (
        f"The {n_neurons} neurons of largest weight norm of a trained net of {width} are put back to their "
        f"initialisation and trained alone (ticket), and so are {n_neurons} neurons of a newly initialised net."
    )
    caption = "Share of nets that learn: full nets, winning tickets, and random neurons; 95 % Wilson intervals."
    picture = Picture("parity-tickets", caption, figures.tickets(counts, "Winning tickets"))
    head = ["setting", "net", "succeeded", "95 % interval", "median steps", "lucky neurons"]
    table = Table("Nets that learn.", head, rows)
    columns = [*by, "run", "n_lucky", "succeeded", "steps", "test_error"]
    files = [CsvFile("parity-tickets.csv", "every net of the lottery experiment", nets[columns].sort_values(by))]
    return Section("Winning tickets", [text], [table], [picture], files=files, brief=1)


def _cost(cost: dict[str, Any], runs: pd.DataFrame) -> Section:
    """Return the section on what training in batches saves."""
    times = pd.DataFrame(cost["rows"]).set_index("width")
    rows: Sequence[list[str]] = [
        [str(width), f"{row['loop']:.0f}", f"{row['frontier']:.1f}", f"{row['loop'] / row['frontier']:.1f}"]
        for width, row in times.iterrows()
    ]
    machine = ", ".join(f"{name}: {value}" for name, value in cost["machine"].items())
    text = [
        "Microseconds of a step and run: a plain PyTorch loop that trains one run after another, without "
        f"evaluating test errors, and the frontier's batches, with everything. Machine: {machine}."
    ]
    if len(runs):
        steps = runs.groupby("width")["steps"].sum()
        loop, batches = (steps @ times.loc[steps.index, ["loop", "frontier"]]) / 6e7
        text.append(
            f"The {len(runs)} runs of the quick grid took {spaced(int(steps.sum()))} steps: {loop:.0f} minutes in "
            f"such a loop, {batches:.1f} minutes in batches, a factor of {loop / batches:.1f}."
        )
    ends = "; ".join(
        f"{decay} decay: {row['first']:.1f} and {row['last']:.1f} us" for decay, row in cost["long_runs"].items()
    )
    text.append(f"A step and run at the two ends of a training of {spaced(LONG)} steps (width 100): {ends}.")
    table = Table("A step and run.", ["width", "loop us", "frontier us", "factor"], rows)
    return Section("Cost of the parity study", text, [table], commands=[cost["command"]], brief=1)
