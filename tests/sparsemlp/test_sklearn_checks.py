"""scikit-learn's own check suite, on both estimators and on ensembles of members."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from sparsemlp import SparseInitMLPClassifier, SparseInitMLPRegressor

# Smaller networks, so that several hundred fits take a minute; everything else is the default.
SMALL = {"width": (128, 32), "max_epochs": 40, "device": "cpu"}
REASON = (
    "compares with 1e-7, which scikit-learn itself asks only of its MLP's full-batch solver; random batches and "
    "data-placed biases depend on how many rows there are"
)
# The second is the first with X as a CSR matrix.
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": REASON,
    "check_sample_weight_equivalence_on_sparse_data": REASON,
}


def expected_failures(estimator):
    return EXPECTED_FAILURES


@parametrize_with_checks(
    [
        SparseInitMLPClassifier(**SMALL),
        SparseInitMLPRegressor(**SMALL),
        SparseInitMLPClassifier(n_members=3, **SMALL),
        SparseInitMLPRegressor(n_members=3, **SMALL),
        SparseInitMLPClassifier(n_members=1, **SMALL),
        SparseInitMLPRegressor(n_members=1, **SMALL),
        SparseInitMLPClassifier(richness=1.0, **SMALL),
        SparseInitMLPRegressor(richness=1.0, **SMALL),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_check(estimator, check):
    check(estimator)
