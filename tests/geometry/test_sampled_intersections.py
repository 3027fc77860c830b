"""Against the count of all pixels: equal where boxes are small, close elsewhere."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from msrcnn_plugin.geometry import mask_intersections, sampled_intersections

from ..conftest import disc


def rectangles(height, width, *boxes):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    rows, columns = torch.arange(height)[:, None] + 0.5, torch.arange(width) + 0.5
    x1, y1, x2, y2 = boxes.T[..., None, None]
    return (x1 < columns) & (columns < x2) & (y1 < rows) & (rows < y2), boxes


def test_counts_by_hand():
    masks, boxes = rectangles(20, 30, (0, 0, 10, 10), (5, 5, 15, 10), (20, 0, 30, 20))
    expected = torch.tensor([[100.0, 25, 0], [25, 50, 0], [0, 0, 200]])
    assert torch.equal(sampled_intersections(masks, boxes), expected)


@given(st.lists(st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(0, 32)] * 2), max_size=6))
def test_exact_where_boxes_are_small(places):
    boxes = [(x + 0.3, y + 0.1, x + w - 0.2, y + h - 0.4) for x, y, w, h in places]
    masks, boxes = rectangles(64, 64, *boxes)
    masks &= torch.rand(64, 64, generator=torch.Generator().manual_seed(0)) > 0.3
    assert torch.equal(sampled_intersections(masks, boxes), mask_intersections(masks, masks))


@pytest.mark.parametrize('crowd', [1, 20])
def test_close_where_boxes_are_large(crowd):
    discs = [(200, 150, 120), (260, 160, 100), (150, 220, 70), (390, 290, 60), (300, 40, 90)]
    masks = torch.from_numpy(np.array([disc(320, 400, *at) for at in discs * crowd], dtype=bool))
    boxes = torch.tensor([(x - r, y - r, x + r, y + r) for x, y, r in discs * crowd])
    shared, exact = sampled_intersections(masks, boxes), mask_intersections(masks, masks)
    assert torch.equal(shared, shared.T)
    smaller = torch.minimum(exact.diagonal()[:, None], exact.diagonal())
    assert ((shared - exact).abs() / smaller).max() < (0.02 if crowd == 1 else 0.05)


def test_the_order_does_not_matter():
    masks, boxes = rectangles(
        90, 90, (1, 2, 80, 70), (20, 0, 90, 90), (3, 3, 9, 9), (40, 40, 80, 88)
    )
    order = torch.tensor([2, 0, 3, 1])
    shared = sampled_intersections(masks, boxes)
    assert torch.equal(sampled_intersections(masks[order], boxes[order]), shared[order][:, order])


def test_parts_give_the_same(monkeypatch):
    masks, boxes = rectangles(90, 90, (1, 2, 80, 70), (20, 0, 90, 90), (3, 3, 9, 9))
    whole = sampled_intersections(masks, boxes)
    module = sampled_intersections.__globals__
    monkeypatch.setitem(module, 'POINTS_AT_ONCE', 2048)
    assert torch.equal(sampled_intersections(masks, boxes), whole)


def test_nothing_to_compare():
    assert sampled_intersections(torch.zeros(0, 9, 9).bool(), torch.zeros(0, 4)).shape == (0, 0)
    outside = torch.tensor([[3.0, 3, 3, 8], [20, 20, 30, 30]])
    assert not sampled_intersections(torch.ones(2, 9, 9).bool(), outside).any()
