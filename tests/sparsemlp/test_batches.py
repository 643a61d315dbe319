"""Batches: every member sees every row once an epoch, in its own order, in batches of nearly equal size."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import sparsemlp._training.batches
from sparsemlp._training.batches import BatchStream, ChunkStream, DeviceRows, SparseRows, TabularDataset


def make_dataset(n_rows, n_columns=3, weighted=False):
    """Every value of row i is made from i, so that a batch shows which rows it holds."""
    number = torch.arange(n_rows, dtype=torch.float32)
    x = number[:, None] + torch.arange(n_columns) / 8
    weight = (number + 0.5)[:, None] if weighted else None
    return TabularDataset(DeviceRows(x), torch.arange(n_rows), -number[:, None], weight)


def make_stream(dataset, batch_size, n_members, seed=0):
    return BatchStream(dataset, batch_size, n_members, torch.Generator().manual_seed(seed))


def rows_of_members(stream):
    """Return every batch of one epoch as row numbers of shape (n_members, rows)."""
    return [batch[0][..., 0].reshape(stream.n_members, -1).long().clone() for batch in stream.batches()]


shapes = {"n_rows": st.integers(1, 200), "batch_size": st.integers(1, 64), "n_members": st.integers(1, 4)}


@given(**shapes)
def test_every_member_sees_every_row_once_an_epoch(n_rows, batch_size, n_members):
    stream = make_stream(make_dataset(n_rows), batch_size, n_members)
    for _ in range(2):
        rows = torch.cat(rows_of_members(stream), dim=1)
        assert torch.equal(rows.sort(dim=1).values, torch.arange(n_rows).expand(n_members, -1))


@given(**shapes)
def test_an_epoch_is_the_fewest_batches_and_their_sizes_differ_by_at_most_one(n_rows, batch_size, n_members):
    sizes = [rows.shape[1] for rows in rows_of_members(make_stream(make_dataset(n_rows), batch_size, n_members))]
    assert len(sizes) == -(-n_rows // batch_size)
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


@given(**shapes, weighted=st.booleans())
def test_targets_and_weights_are_those_of_the_rows(n_rows, batch_size, n_members, weighted):
    stream = make_stream(make_dataset(n_rows, weighted=weighted), batch_size, n_members)
    for batch in stream.batches():
        x, y = batch[0], batch[1].view(batch[0].shape[:-1])  # one row of all members
        assert torch.equal(x, y.unsqueeze(-1) + torch.arange(3) / 8)
        assert torch.equal(batch.target[..., 0], -y.float())
        if weighted:
            assert torch.equal(batch.weight[..., 0], y + 0.5)
        else:
            assert batch.weight is None


def test_orders_differ_between_members_and_between_epochs():
    stream = make_stream(make_dataset(100), 10, 3)
    epochs = [torch.cat(rows_of_members(stream), dim=1) for _ in range(2)]
    orders = {tuple(order.tolist()) for epoch in epochs for order in epoch}
    assert len(orders) == 6
    assert tuple(range(100)) not in orders


def test_the_order_comes_from_the_generator_alone():
    state = torch.random.get_rng_state()
    first, again, other = (rows_of_members(make_stream(make_dataset(50), 8, 2, seed)) for seed in (1, 1, 2))
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_slabs_too_small_for_an_epoch_change_nothing(monkeypatch):
    whole = rows_of_members(make_stream(make_dataset(100), 8, 2))
    monkeypatch.setattr(sparsemlp._training.batches, "POOL_BYTES", 500)
    assert all(map(torch.equal, whole, rows_of_members(make_stream(make_dataset(100), 8, 2))))


@pytest.mark.parametrize("layout", [sparse.csr_matrix, sparse.csr_array])
def test_csr_rows_are_those_of_the_dense_table(layout):
    values = np.random.default_rng(0).random((40, 5)).astype(np.float32)
    values[values < 0.7] = 0
    dataset = make_dataset(40)
    dense = TabularDataset(DeviceRows(torch.from_numpy(2 * values)), dataset.y, dataset.target)
    rows = SparseRows(layout(values), lambda x: 2 * x.toarray(), 5)
    from_csr = TabularDataset(rows, dataset.y, dataset.target)
    assert len(from_csr) == 40
    for a, b in zip(make_stream(dense, 7, 2).batches(), make_stream(from_csr, 7, 2).batches(), strict=True):
        assert torch.equal(a[0], b[0])


@given(n_rows=st.integers(1, 60), chunk_size=st.integers(1, 40))
def test_chunks_are_all_rows_in_order(n_rows, chunk_size):
    chunks = list(ChunkStream(make_dataset(n_rows, weighted=True), chunk_size))
    assert all(len(chunk[0]) <= chunk_size for chunk in chunks)
    assert torch.equal(torch.cat([chunk[1] for chunk in chunks]), torch.arange(n_rows))
    assert torch.equal(torch.cat([chunk[0] for chunk in chunks])[:, 0], torch.arange(n_rows).float())
    assert torch.equal(torch.cat([chunk.target for chunk in chunks])[:, 0], -torch.arange(n_rows).float())
    assert torch.equal(torch.cat([chunk.weight for chunk in chunks])[:, 0], torch.arange(n_rows) + 0.5)


def test_rows_on_another_device_are_gathered_there_and_copied():
    rows = DeviceRows(torch.arange(12.0).view(6, 2))
    out = torch.empty(3, 2, device="meta")  # any device but the rows' own
    rows.take(torch.tensor([5, 0, 0]), out)
    here = torch.empty(3, 2)
    rows.take(torch.tensor([5, 0, 0]), here)
    assert torch.equal(here, rows.values[[5, 0, 0]])
