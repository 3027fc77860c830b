"""The work that is timed, one class for each kind.

A case has ``inputs(scene)``, which is not timed and makes afresh what a call may change, and
``run(*inputs)``, which is. Whatever the contestants share, they share to the bit: scene, features,
logits, weights, and the seed of the samplers.
"""

import functools
import math
from types import SimpleNamespace

import torch
from mmdet.models.roi_heads.mask_heads import MaskIoUHead
from mmdet.structures.mask import mask_target
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper

from msrcnn_plugin.geometry import RoIGroundTruth, mask_iou_target
from msrcnn_plugin.hooks import TrainMaskIoUHeadOnlyHook
from msrcnn_plugin.models import MSMaskIoUHead
from msrcnn_plugin.models.ground_truth_masks import prepare_masks
from tools.benchmarking.scene import data_samples, instances, proposals

MASK_SIZE = 28
STRIDES = (4, 8, 16, 32, 64)
# Boxes that pass the score threshold of a trained detector, before NMS.
CANDIDATES = 1000


@functools.lru_cache(maxsize=4)
def random_tensor(shape, device):
    """The same for every case that asks for it."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)


def pixels(scene, device):
    """(B, 3, H, W) normalised images."""
    return random_tensor((len(scene.images), 3, *scene.padded_size), device)


def pyramid(scene, channels, device):
    """Features of all levels, which want a gradient as those of a backbone do."""
    levels = []
    for stride in STRIDES:
        size = [math.ceil(side / stride) for side in scene.padded_size]
        levels.append(_feature((len(scene.images), channels, *size), device).detach())
    return tuple(level.requires_grad_() for level in levels)


@functools.lru_cache(maxsize=2 * len(STRIDES))
def _feature(shape, device):
    return random_tensor.__wrapped__(shape, device)


# --- targets -------------------------------------------------------------------------------------


class MaskTargets:
    """The targets of the mask head alone: stock Mask R-CNN's."""

    def __init__(self, kind, device):
        self.kind = kind
        self.device = device
        self.cfg = ConfigDict(mask_size=MASK_SIZE, mask_thr_binary=0.5)

    def inputs(self, scene):
        positives = [
            SimpleNamespace(
                # A copy: mmdet clips them in place.
                pos_priors=image.positives.to(self.device, copy=True),
                pos_assigned_gt_inds=image.positive_inds.to(self.device),
            )
            for image in scene.images
        ]
        count = sum(len(image.positives) for image in scene.images)
        logits = random_tensor((count, MASK_SIZE, MASK_SIZE), self.device)
        return positives, instances(scene, self.device, self.kind), logits

    def run(self, positives, gt_instances, logits):
        return self.mask_targets(positives, gt_instances), None

    def mask_targets(self, positives, gt_instances):
        return mask_target(
            [image.pos_priors for image in positives],
            [image.pos_assigned_gt_inds for image in positives],
            [gts.masks for gts in gt_instances],
            self.cfg,
        )


class StockTargets(MaskTargets):
    """Those of mask head and MaskIoU head, as mmdet's MS R-CNN makes them."""

    def __init__(self, kind, device):
        super().__init__(kind, device)
        self.head = MaskIoUHead(num_classes=1, fc_out_channels=8)  # its weights are not used

    def run(self, positives, gt_instances, logits):
        targets = self.mask_targets(positives, gt_instances)
        return targets, self.head.get_targets(positives, gt_instances, logits, targets, self.cfg)


class PluginTargets(MaskTargets):
    """The same, as the mask scoring mixin makes them."""

    def run(self, positives, gt_instances, logits):
        prepare_masks(gt_instances, logits.device)
        targets = self.mask_targets(positives, gt_instances)
        images = [
            gts.masks.take_ground_truth(
                image.pos_priors, image.pos_assigned_gt_inds, (MASK_SIZE, MASK_SIZE)
            )
            for image, gts in zip(positives, gt_instances)
        ]
        ground_truth = RoIGroundTruth(*(torch.cat(parts) for parts in zip(*images)))
        return targets, mask_iou_target(logits.sigmoid(), ground_truth).iou


# --- heads and models ----------------------------------------------------------------------------


class RoIHeadLoss:
    """``roi_head.loss`` on features of a pyramid, and its backward where asked for."""

    def __init__(self, roi_head, channels, device, backward):
        self.roi_head = roi_head.to(device).train()
        self.channels = channels
        self.device = device
        self.backward = backward

    def inputs(self, scene):
        self.roi_head.zero_grad()
        features = pyramid(scene, self.channels, self.device)
        inputs = features, proposals(scene, self.device), data_samples(scene, self.device)
        torch.manual_seed(0)  # the sampler of positives draws from it
        return inputs

    def run(self, features, proposals_of_images, samples):
        losses = self.roi_head.loss(features, proposals_of_images, samples)
        loss = sum(value for name, value in losses.items() if 'loss' in name)
        if self.backward:
            loss.backward()
        return {name: value.detach() for name, value in losses.items()}


class TrainStep:
    """Loss, backward and optimizer step of the whole model, on the scene's proposals.

    The RPN does its work; what it proposes, untrained, is then replaced by what a trained one
    would.
    """

    def __init__(self, model, device):
        self.model = model.to(device).train()
        self.device = device
        # mmdet's schedule but for the rate, which leaves the weights alike in all cases.
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-9, momentum=0.9, weight_decay=1e-4)
        self.optim_wrapper = OptimWrapper(optimizer)
        self._proposals = None
        self._propose = model.rpn_head.predict_by_feat
        model.rpn_head.predict_by_feat = self._predict_by_feat

    def _predict_by_feat(self, *args, **kwargs):
        self._propose(*args, **kwargs)
        return self._proposals

    def inputs(self, scene):
        self._proposals = proposals(scene, self.device)
        inputs = pixels(scene, self.device), data_samples(scene, self.device)
        torch.manual_seed(0)
        return inputs

    def run(self, images, samples):
        losses = self.model.loss(images, samples)
        loss, log = self.model.parse_losses(losses)
        self.optim_wrapper.update_params(loss)
        return log


class HeadOnlyTrainStep(TrainStep):
    """The same in the mode of TrainMaskIoUHeadOnlyHook."""

    def __init__(self, model, device):
        super().__init__(model, device)
        self.hook = TrainMaskIoUHeadOnlyHook()
        # What the hook looks at of a runner.
        self.runner = SimpleNamespace(
            model=model, optim_wrapper=self.optim_wrapper, _load_from='trained.pth', _resume=False
        )
        self.hook.before_run(self.runner)

    def inputs(self, scene):
        self.hook.before_train_iter(self.runner, 0)
        return super().inputs(scene)


class Predict:
    """``model.predict``, masks pasted into the image at its original size."""

    def __init__(self, model, scene, device):
        self.model = model.to(device).eval()
        self.device = device
        self.model.roi_head.test_cfg.score_thr = score_threshold(model, scene, device)

    def inputs(self, scene):
        return pixels(scene, self.device), data_samples(scene, self.device)

    @torch.no_grad()
    def run(self, images, samples):
        return self.model.predict(images, samples)


@torch.no_grad()
def score_threshold(model, scene, device):
    """The class score that as many boxes pass as pass a trained detector's.

    Without training all scores are alike. A threshold of 0 would let 80 000 boxes an image into
    NMS, whose time would then hide the difference between the cases.
    """
    seen = []
    handle = model.roi_head.bbox_head.register_forward_hook(lambda *call: seen.append(call[-1][0]))
    model.roi_head.test_cfg.score_thr = 1.0  # no box: nothing comes after the box head
    model.predict(pixels(scene, device), data_samples(scene, device))
    handle.remove()
    scores = seen[0].softmax(1)[:, :-1].flatten()
    return scores.topk(min(CANDIDATES * len(scene.images), len(scores))).values[-1].item() * 0.999


class HeadForward:
    """The plugin's MaskIoU head alone on the RoIs of one image, compiled or not."""

    def __init__(self, channels, rois, device, compiled):
        torch.manual_seed(0)
        head = MSMaskIoUHead(in_channels=channels, roi_feat_size=14, num_classes=80)
        head = head.to(device).eval()
        self.head = torch.compile(head, dynamic=False) if compiled else head
        self.feats = random_tensor((rois, channels, 14, 14), device)
        self.probs = random_tensor((rois, MASK_SIZE, MASK_SIZE), device).sigmoid()

    def inputs(self, scene):
        return self.feats, self.probs

    @torch.no_grad()
    def run(self, feats, probs):
        return self.head(feats, probs)
