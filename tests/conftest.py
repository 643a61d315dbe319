"""What all tests share: a hypothesis profile for slow machines, GPUs or a stand-in, workers in threads."""

import signal
from functools import partial

import pytest
import torch
from helpers import cuda_stand_in
from hypothesis import settings

# Machines differ too much for a deadline on single examples; pytest-timeout stops what hangs.
settings.register_profile("sparsemlp", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("sparsemlp")

# A shell lets what runs in the background ignore Ctrl-C, and commands that tests interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def gpus():
    """CUDA, or where there is none a stand-in that obeys its rules; yields what the stand-in counts."""
    if torch.cuda.is_available():
        yield None
    else:
        with cuda_stand_in.installed() as counts:
            yield counts


@pytest.fixture
def workers_in_threads(monkeypatch):
    """The engine's workers are threads of this process: they start at once, and what they do can be watched."""
    from dask import distributed

    monkeypatch.setattr(distributed, "LocalCluster", partial(distributed.LocalCluster, processes=False))


@pytest.fixture
def undrawn(monkeypatch):
    """Figures of reports are made and not drawn, which is most of the time that a report takes."""
    from benchmarks.report import style

    monkeypatch.setattr(style, "save", lambda figure, folder, name: None)
    monkeypatch.setattr(style, "svg", lambda figure: '<svg viewBox="0 0 1 1"></svg>')


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
