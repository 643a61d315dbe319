"""Neural networks for tables by others, as pytabkit has them; ``pip install '.[peers]'``.

RealMLP: Holzmüller, Grinsztajn and Steinwart, "Better by default" (NeurIPS 2024), with the search space of its
appendix. TabM: Gorishniy, Kotelnikov and Babenko (ICLR 2025), with the space of pytabkit. Both hold out a part
of the training rows for early stopping themselves.
"""

from optuna.trial import BaseTrial
from sklearn.pipeline import Pipeline

from benchmarks.environment import n_cores
from benchmarks.models.base import Model, Parameters, decode_choice, encode_choice, position, weighted

REALMLP_DROPOUT = {0.0: 0.3, 0.15: 0.5, 0.3: 0.2}
REALMLP_SMOOTHING = {0.0: 0.3, 0.1: 0.7}
REALMLP_SIZES = {encode_choice([256] * 3): 0.6, encode_choice([64] * 5): 0.2, encode_choice([512]): 0.2}


def _realmlp(seed: int, n_samples: int, n_features: int) -> Pipeline:
    from pytabkit import RealMLP_TD_Classifier

    return Pipeline([("model", RealMLP_TD_Classifier(random_state=seed, n_threads=n_cores()))])


def _realmlp_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    return {
        "model__lr": trial.suggest_float("lr", 2e-2, 3e-1, log=True),
        "model__wd": trial.suggest_categorical("wd", [0.0, 2e-2]),
        "model__p_drop": weighted(trial, "p_drop", REALMLP_DROPOUT),
        "model__plr_sigma": trial.suggest_float("plr_sigma", 0.05, 0.5, log=True),
        "model__ls_eps": weighted(trial, "ls_eps", REALMLP_SMOOTHING),
        "model__hidden_sizes": list(decode_choice(weighted(trial, "hidden_sizes", REALMLP_SIZES))),
    }


def _realmlp_default() -> Parameters:
    return {
        "lr": 0.04,
        "wd": 2e-2,
        "p_drop": position(0.15, REALMLP_DROPOUT),
        "plr_sigma": 0.1,
        "ls_eps": position(0.1, REALMLP_SMOOTHING),
        "hidden_sizes": position(encode_choice([256] * 3), REALMLP_SIZES),
    }


def _tabm(seed: int, n_samples: int, n_features: int) -> Pipeline:
    from pytabkit import TabM_D_Classifier

    return Pipeline([("model", TabM_D_Classifier(random_state=seed, n_threads=n_cores()))])


def _tabm_space(trial: BaseTrial, n_samples: int, n_features: int) -> Parameters:
    return {
        "model__lr": trial.suggest_float("lr", 1e-4, 3e-3, log=True),
        "model__weight_decay": trial.suggest_float("weight_decay", 0.0, 1e-1),
        "model__n_blocks": trial.suggest_int("n_blocks", 1, 4),
        "model__d_block": trial.suggest_int("d_block", 64, 1024, step=16),
        "model__dropout": trial.suggest_float("dropout", 0.0, 0.5),
    }


def _tabm_default() -> Parameters:
    return {"lr": 2e-3, "weight_decay": 0.0, "n_blocks": 3, "d_block": 512, "dropout": 0.1}


MODELS = (
    Model("realmlp", "RealMLP", _realmlp, _realmlp_space, _realmlp_default, "pytabkit", "peers"),
    Model("tabm", "TabM", _tabm, _tabm_space, _tabm_default, "pytabkit", "peers"),
)
