"""The hosts that the benchmark times do their work, and emit the scene's masks."""

import pytest
import torch
import torch.nn.functional as F

from msrcnn_plugin.commands.benchmark_cases import SMALL
from msrcnn_plugin.commands.benchmark_detectors import DETECTORS, host_cfg, prediction
from msrcnn_plugin.synthetic.batch import Scene

from ..models.any_hosts import HOST_WARNINGS, build, stock_cfg, tiny_cfg

pytestmark = HOST_WARNINGS
# As large as in the benchmark, so that its smallest object is no smaller than a cell of a host.
SETTING = SMALL._replace(image_size=(800, 1088), objects=3, positives=3, detections=3)


@pytest.mark.parametrize('config', DETECTORS)
def test_a_host_emits_the_masks_of_the_scene(config):
    scene, model = Scene(SETTING, images=1), build(tiny_cfg(config))
    (sample,) = prediction(model, scene, DETECTORS[config][1])()
    results = sample.pred_instances
    order = results.labels.argsort()
    assert results.labels[order].tolist() == [0, 1, 2]
    masks = results.masks[order]
    drawn = scene.bitmaps[0].to_tensor(torch.float32, 'cpu')[:, :800, :1088]
    truth = F.interpolate(drawn[None], masks.shape[1:], mode='area')[0] > 0.5
    assert tuple(masks.shape[1:]) == sample.ori_shape == (480, 653)
    assert (masks & truth).sum() > 0.9 * (masks | truth).sum()
    assert results.mask_ious.shape == (3,)


@pytest.mark.parametrize('config', DETECTORS)
def test_the_host_alone_is_that_of_mmdet(config):
    cfg = tiny_cfg(config)
    assert host_cfg(cfg) == stock_cfg(cfg)
