"""What all tests share: a hypothesis profile for slow machines, and no GPU tests where there is no GPU."""

import pytest
import torch
from hypothesis import settings

# Machines differ too much for a deadline on single examples; pytest-timeout stops what hangs.
settings.register_profile("sparsemlp", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("sparsemlp")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)
