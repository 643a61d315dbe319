"""What all tests share: a hypothesis profile for slow machines, GPUs or a stand-in for them, databases."""

import itertools

import pytest
import torch
from helpers import cuda_stand_in, throwaway_postgresql
from hypothesis import settings

# Machines differ too much for a deadline on single examples; pytest-timeout stops what hangs.
settings.register_profile("sparsemlp", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("sparsemlp")


@pytest.fixture
def gpus():
    """CUDA, or where there is none a stand-in that obeys its rules; yields what the stand-in counts."""
    if torch.cuda.is_available():
        yield None
    else:
        with cuda_stand_in.installed() as counts:
            yield counts


@pytest.fixture(scope="session")
def postgresql():
    """The URL of a PostgreSQL server, without a database."""
    pytest.importorskip("psycopg")
    with throwaway_postgresql.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request, tmp_path):
    """The URL of an empty database for results."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shared.sqlite'}"
    return throwaway_postgresql.new_database(request.getfixturevalue("postgresql"), f"test_{next(_numbers)}")


@pytest.fixture
def registries():
    """Competitors and tasks may be added; afterwards they are as they were."""
    from benchmarks.data.tasks import TASKS
    from benchmarks.models import MODELS

    before = dict(MODELS), dict(TASKS)
    yield
    for known, former in zip((MODELS, TASKS), before, strict=True):
        known.clear()
        known.update(former)


_numbers = itertools.count()
