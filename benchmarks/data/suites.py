"""The four OpenML suites of Grinsztajn et al. 2022, as task numbers.

The suites' own lists need a network, while a task that the openml client has cached does not.
"""

from benchmarks.data.openml import OpenMLSource
from benchmarks.data.table import CLASSIFICATION, REGRESSION

NUMERIC = 337  # the suite that is meant where none is named

_ROWS: dict[int, tuple[tuple[int, int, str, int, str], ...]] = {
    337: (
        (361055, 44089, "credit", 16714, ""),
        (361060, 44120, "electricity", 38474, ""),
        (361061, 44121, "covertype", 566602, ""),
        (361062, 44122, "pol", 10082, ""),
        (361063, 44123, "house_16H", 13488, ""),
        (361065, 44125, "MagicTelescope", 13376, ""),
        (361066, 44126, "bank-marketing", 10578, ""),
        (361068, 44128, "MiniBooNE", 72998, "drawn at random"),
        (361069, 44129, "Higgs", 940160, "some from the same simulation rather than the same file"),
        (361070, 44130, "eye_movements", 7608, ""),
        (361273, 45022, "Diabetes130US", 71090, ""),
        (361274, 45021, "jannis", 57580, "re-balanced"),
        (361275, 45020, "default-of-credit-card-clients", 13272, ""),
        (361276, 45019, "Bioresponse", 3434, "the labels of 1374 rows inferred from the row order"),
        (361277, 45028, "california", 20634, ""),
        (361278, 45026, "heloc", 10000, ""),
    ),
    334: (
        (361110, 44156, "electricity", 38474, ""),
        (361111, 44157, "eye_movements", 7608, ""),
        (361113, 44159, "covertype", 423680, ""),
        (361282, 45035, "albert", 58252, ""),
        (361283, 45036, "default-of-credit-card-clients", 13272, ""),
        (361285, 45038, "road-safety", 111762, ""),
        (361286, 45039, "compas-two-years", 4966, ""),
    ),
    335: (
        (361093, 44055, "analcatdata_supreme", 4052, ""),
        (361094, 44056, "visualizing_soil", 8641, ""),
        (361096, 44059, "diamonds", 53940, ""),
        (361097, 44061, "Mercedes_Benz_Greener_Manufacturing", 4209, ""),
        (361098, 44062, "Brazilian_houses", 10692, ""),
        (361099, 44063, "Bike_Sharing_Demand", 17379, ""),
        (361101, 44065, "nyc-taxi-green-dec-2016", 581835, ""),
        (361102, 44066, "house_sales", 21613, ""),
        (361103, 44068, "particulate-matter-ukair-2017", 394299, ""),
        (361104, 44069, "SGEMM_GPU_kernel_performance", 241600, ""),
        (361287, 45041, "topo_2_1", 8885, ""),
        (361288, 45042, "abalone", 4177, ""),
        (361289, 45043, "seattlecrime6", 52031, ""),
        (361291, 45045, "delays_zurich_transport", 5465575, ""),
        (361292, 45046, "Allstate_Claims_Severity", 188318, "the target rebuilt to 2e-15"),
        (361293, 45047, "Airlines_DepDelay_1M", 1000000, ""),
        (361294, 45048, "medical_charges", 163065, ""),
    ),
    336: (
        (361072, 44132, "cpu_act", 8192, ""),
        (361073, 44133, "pol", 15000, ""),
        (361074, 44134, "elevators", 16599, ""),
        (361076, 44136, "wine_quality", 6497, ""),
        (361077, 44137, "Ailerons", 13750, ""),
        (361078, 44138, "houses", 20640, ""),
        (361079, 44139, "house_16H", 22784, ""),
        (361080, 44140, "diamonds", 53940, ""),
        (361081, 44141, "Brazilian_houses", 10692, ""),
        (361082, 44142, "Bike_Sharing_Demand", 17379, ""),
        (361083, 44143, "nyc-taxi-green-dec-2016", 581835, ""),
        (361084, 44144, "house_sales", 21613, ""),
        (361085, 44145, "sulfur", 10081, ""),
        (361086, 44146, "medical_charges", 163065, ""),
        (361087, 44147, "MiamiHousing2016", 13932, ""),
        (361088, 44148, "superconduct", 21263, ""),
        (361279, 45032, "yprop_4_1", 8885, ""),
        (361280, 45033, "abalone", 4177, ""),
        (361281, 45034, "delays_zurich_transport", 5465575, ""),
    ),
}
KINDS = {337: CLASSIFICATION, 334: CLASSIFICATION, 335: REGRESSION, 336: REGRESSION}
#: what the suites' tables are, in words
WORDS = {
    337: "classification, numbers alone",
    334: "classification, numbers and categories",
    335: "regression, numbers and categories",
    336: "regression, numbers alone",
}


def _name(suite: int, name: str) -> str:
    """Return the task's name; several tables are in two suites under one name."""
    return name if suite == NUMERIC else f"{suite}/{name}"


SUITES: dict[int, tuple[OpenMLSource, ...]] = {
    suite: tuple(
        OpenMLSource(task_id, data_id, _name(suite, name), n_published, note, KINDS[suite])
        for task_id, data_id, name, n_published, note in rows
    )
    for suite, rows in _ROWS.items()
}


def suite_of(task: str) -> int:
    """Return the suite of the task with this name; 0 where it is of none."""
    return _OF.get(task, 0)


def names(*suites: int) -> tuple[str, ...]:
    """Return the names of the tasks of some suites."""
    return tuple(source.name for suite in suites for source in SUITES[suite])


_OF = {name: suite for suite in SUITES for name in names(suite)}
