"""Ground truth and detections of an image, and what a sampler makes of a model's."""

import copy

import numpy as np
import torch
from mmengine.structures import InstanceData

from ..conftest import data_sample, instances


def rectangle(x1, y1, x2, y2):
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


def detections(*masks, labels):
    masks = torch.from_numpy(np.array(masks, dtype=bool).reshape(-1, 20, 30))
    return InstanceData(masks=masks, labels=torch.tensor(labels, dtype=torch.long))


def image(*masks, labels=(), crowds=()):
    sample = data_sample(instances(np.array(masks).reshape(-1, 20, 30), labels), 20, 30)
    sample.ignored_instances = instances(np.array(crowds).reshape(-1, 20, 30), [0] * len(crowds))
    return sample


def sample_detections(model, batch, sampler):
    """What ``sampler`` gives the MaskIoU head of ``model`` to learn from."""
    images, samples = copy.deepcopy(batch)
    with torch.no_grad():
        x = model.extract_feat(images)
        proposals = model.rpn_head.predict(x, samples, rescale=False)
    return sampler(model.roi_head, x, proposals, samples)
