import torch

from msrcnn_plugin.geometry import gather_by_label


def test_keeps_the_prediction_of_each_rois_class():
    masks = torch.arange(2 * 3 * 2 * 2.0).view(2, 3, 2, 2)
    chosen = gather_by_label(masks, torch.tensor([2, 0]))
    assert torch.equal(chosen, torch.stack([masks[0, 2], masks[1, 0]]))


def test_one_prediction_serves_every_class():
    ious = torch.tensor([[0.2], [0.7]])
    assert torch.equal(gather_by_label(ious, torch.tensor([79, 3])), ious[:, 0])


def test_no_rois():
    assert gather_by_label(torch.zeros(0, 3, 28, 28), torch.zeros(0).long()).shape == (0, 28, 28)


def test_gradient_reaches_only_what_is_chosen():
    predictions = torch.zeros(2, 3, requires_grad=True)
    gather_by_label(predictions, torch.tensor([1, 2])).sum().backward()
    assert predictions.grad.tolist() == [[0, 1, 0], [0, 0, 1]]
