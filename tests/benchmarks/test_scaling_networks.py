"""The networks of the scaling-laws study: what is measured of them, and that their parametrisation is right."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.data.table import Data
from benchmarks.scaling import circle, experiment, openml_tables, richness
from benchmarks.scaling import images as scaling_images
from benchmarks.scaling.command import MODULES, experiments

PROFILES = ("smoke", "quick", "full")


@pytest.fixture(autouse=True, scope="module")
def one_process():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "n_cores", lambda: 1)
        yield


def test_the_command_offers_every_experiment():
    assert tuple(experiments()) == tuple(MODULES)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", ["circle", "images", "parity", "tables"])
def test_cells_are_distinct_as_json(name, profile):
    settings = experiments()[name].settings(profile)
    assert len({json.dumps(setting, sort_keys=True) for setting in settings}) == len(settings)
    assert all(json.loads(json.dumps(setting)) == setting for setting in settings)


def test_the_circles_kernel_is_that_of_the_networks_gradients():
    module = circle.network(20, 0.5, seed=0).double()
    angles = np.linspace(0.1, 6, 7)
    x = torch.tensor(np.column_stack([np.cos(angles), np.sin(angles)]))
    gradients = []
    for row in x:
        module.zero_grad()
        module(row[None]).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in module.parameters()]))
    jacobian = torch.stack(gradients).numpy()
    rate = 20 * 0.5**2  # of SGD, for a learning rate of 1
    np.testing.assert_allclose(circle.kernel(module, angles), rate * jacobian @ jacobian.T, rtol=1e-9)


def test_the_circles_target_has_unit_mean_square():
    angles = 2 * np.pi * np.arange(400) / 400
    values = circle.target_values(0.75, angles, 64)
    assert np.mean(values**2) == pytest.approx(1)
    assert values.mean() == pytest.approx(0, abs=1e-12)


@pytest.fixture(scope="module")
def circle_rows():
    sizes = {"width": 256, "n_angles": 64, "n_seeds": 1}
    curve = {"part": "curve", "target": "easy", "richness": circle.LAZY, "rate": 0.02, "n_steps": 400}
    settings = [{"part": "kernel"} | sizes, curve | sizes]
    return pd.DataFrame([setting | row for setting in settings for row in circle.compute(setting)])


def test_a_lazy_network_does_what_its_initial_kernel_would(circle_rows):
    curve = circle_rows[circle_rows["part"] == "curve"]
    kept = circle_rows[(circle_rows["part"] == "kernel") & (circle_rows["target"] == "easy")]
    late = curve[curve["time"] >= 2]  # the loss of a step is the one before its update
    expected = np.exp(np.interp(np.log(late["time"] - 0.02), np.log(kept["time"]), np.log(kept["loss"])))
    np.testing.assert_allclose(late["loss"], expected, rtol=0.05)


def test_the_spectrum_is_that_of_the_kernel_averaged_over_rotations(circle_rows):
    values = circle_rows.dropna(subset=["mode"])["eigenvalue"].to_numpy()
    angles = 2 * np.pi * np.arange(128) / 128
    gram = circle.kernel(circle.network(256, 1.0, seed=0), angles)
    by_distance = np.mean([np.roll(row, -i) for i, row in enumerate(gram)], axis=0)
    np.testing.assert_allclose(values, np.fft.rfft(by_distance).real[1:33] / 128, rtol=1e-9)


def test_the_images_network_starts_at_zero_and_moves_by_the_order_of_richness():
    moved = []
    for value in (1e-3, 1e-2):
        torch.manual_seed(0)
        net = scaling_images.CentredCNN(8, value).double()
        images = torch.rand(16, 1, scaling_images.CANVAS, scaling_images.CANVAS, dtype=torch.float64)
        assert (net(images) == 0).all()
        optimizer = torch.optim.SGD(net.parameter_groups(0.1), lr=0.0)
        start = net.body[0].weight.detach().clone()
        for _ in range(5):
            optimizer.zero_grad()
            (net(images) - 1).square().mean().backward()
            optimizer.step()
        moved.append(float((net.body[0].weight.detach() - start).norm()))
    assert moved[1] / moved[0] == pytest.approx(10, rel=0.05)


def test_shifted_images_keep_their_pixels():
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    index = torch.tensor([3, 3, 1])
    canvas, target = scaling_images._shifted((images, torch.arange(5)), index, torch.Generator().manual_seed(1))
    raw = canvas * scaling_images.PIXEL_SCALE + scaling_images.PIXEL_MEAN
    torch.testing.assert_close(raw.sum((1, 2, 3)), images[index].sum((1, 2, 3)))
    assert target.tolist() == [3, 3, 1]
    assert not torch.equal(canvas[0], canvas[1])


def test_parity_is_learned_rich_and_not_lazy():
    setting = {"n_features": 20, "n_informative": 3, "n_samples": 1000, "width": 100, "n_steps": 2000, "n_runs": 3}
    rates = []
    rows = []
    for value in (0.01, 1.0):
        own = setting | richness.TRAINING | {"start": "sparse, s = 2", "richness": value}
        rows += [own | row for row in richness.compute(own)]
        rates.append(np.mean([row["steps"] is not None for row in rows[-3:]]))
    assert rates == [0.0, 1.0]
    section = richness.section(pd.DataFrame(rows))
    found = [row[:3] for row in section.tables[0].rows]
    assert found == [["sparse, s = 2", "0.01", "0 of 3"], ["sparse, s = 2", "1", "3 of 3"]]
    assert [picture.name for picture in section.figures] == ["parity-richness"]


def test_tables_are_compared_on_the_same_rows(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4))
    data = Data(X, (X[:, 0] > 0).astype(np.int64), None, "", True)
    monkeypatch.setattr(openml_tables, "load", lambda name: data)
    sizes = {"richness_values": [0.0, 1.0], "n_rows": 100, "width": [16, 8], "n_members": 1, "seed": 0}
    settings = [{"task": task} | sizes for task in ("one", "two")]
    rows = [setting | row for setting in settings for row in openml_tables.compute(setting)]
    assert len(rows) == 8
    assert len({row["accuracy"] for row in rows}) > 1
    assert np.mean([row["accuracy"] for row in rows]) > 0.6
    section = openml_tables.section(pd.DataFrame(rows))
    assert section.tables[0].head == ["richness", "sparse", "dense", "sparse minus dense"]
    assert [row[0] for row in section.tables[0].rows] == ["none", "1"]
    assert [picture.name for picture in section.figures] == ["tables-richness"]
