"""The estimators on TabArena's tables, beside its leaderboard: the default and some random configurations.

    pip install tabarena, and sparsemlp from its clone
    python examples/tabarena_run.py

It downloads tables and the results of the other models. Three small tables are run; without `dataset_names` all.
"""

from __future__ import annotations

from pathlib import Path

from autogluon.common.space import Categorical, Real
from autogluon_model import SparseMLPModel
from tabarena.benchmark.experiment import TabArenaV0pt1ExperimentBundle
from tabarena.contexts import TabArenaContext
from tabarena.utils.config_utils import ConfigGenerator

TABLES = ["blood-transfusion-service-center", "QSAR_fish_toxicity", "anneal"]
#: around the defaults, as `sparsemlp.search_space` has it
SPACE = {
    "width": Categorical([512, 128], [256, 64], [1024, 128], 1024),
    "sparsity": Categorical("auto", 1),
    "activation": Categorical("mixed", "relu-tanh", "relu", "tanh", "box"),
    "scaling": Categorical("both", "squash", "quantile", "standard"),
    "learning_rate": Real(3e-4, 1e-2, log=True),
    "weight_decay": Real(1e-3, 1.0, log=True),
}


def config_generator() -> ConfigGenerator:
    """Return the default configuration and a space to sample others from."""
    return ConfigGenerator(model_cls=SparseMLPModel, manual_configs=[{}], search_space=SPACE)


def main(folder: Path = Path("tabarena-results"), n_random_configs: int = 5) -> None:
    """Run, compare with the leaderboard, and print it."""
    bundle = TabArenaV0pt1ExperimentBundle(models=[(config_generator(), n_random_configs)])
    context = TabArenaContext()
    context.build_and_run_jobs(
        bundle.build_experiments(),
        expname=str(folder / "runs"),
        subset="lite",
        build_kwargs={"dataset_names": TABLES},
        new_result_prefix="[New] ",
    )
    leaderboard = context.compare(output_dir=folder / "comparison")
    print(context.leaderboard_to_website_format(leaderboard=leaderboard).to_markdown(index=False))


if __name__ == "__main__":
    main()
