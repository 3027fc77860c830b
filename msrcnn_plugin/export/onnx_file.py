"""Writes a model as an ONNX file of standard operators, with all that a runtime has to know."""

from __future__ import annotations

import importlib.util
import inspect
import io
import json
import os
import warnings
from collections.abc import Mapping
from typing import Any

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.onnx.operators import shape_as_tensor

from ..files import atomic_write
from .deployment import DeploymentModel, Detections, MaskScorer

METADATA = 'msrcnn'  # the key of the file's metadata, which is JSON
OPSET = {False: 17, True: 18}  # of torch's two exporters, by `dynamo`
DETECTION_AXES = {name: {0: 'detections'} for name in Detections._fields}
HEAD_AXES = {name: {0: 'rois'} for name in ('roi_feats', 'mask_probs', 'labels', 'mask_ious')}


class RawImageModel(nn.Module):
    """A deployment model that normalises and pads its image, as the host's preprocessor does."""

    def __init__(self, model: DeploymentModel) -> None:
        super().__init__()
        self.deployed = model
        self.preprocessor = model.model.data_preprocessor

    def forward(self, image: Tensor) -> Detections:
        """Detects the objects of a resized image (height, width, 3), uint8, BGR as OpenCV's."""
        valid_size = shape_as_tensor(image)[:2]
        prepared = image.permute(2, 0, 1)[None]
        if self.preprocessor._channel_conversion:
            prepared = prepared.flip(1)
        prepared = prepared.float()
        if self.preprocessor._enable_normalize:
            prepared = (prepared - self.preprocessor.mean) / self.preprocessor.std
        divisor = self.preprocessor.pad_size_divisor
        height, width = prepared.shape[2:]
        padding = (0, -width % divisor, 0, -height % divisor)
        prepared = F.pad(prepared, padding, value=float(self.preprocessor.pad_value))
        return self.deployed(prepared, valid_size)


class CalibratedScorer(nn.Module):
    """The MaskIoU head of a model and its calibration."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.scorer = MaskScorer(model.roi_head)
        self.calibration = model.roi_head.mask_iou_calibration

    def forward(self, roi_feats: Tensor, mask_probs: Tensor, labels: Tensor) -> Tensor:
        """Predicts the IoU (R,) in [0, 1] of masks (R, M, M) of classes (R,)."""
        mask_ious = self.scorer(roi_feats, mask_probs, labels)
        return mask_ious if self.calibration is None else self.calibration(mask_ious)


def export_detector(
    model: Any,
    path: str | os.PathLike,
    metadata: Mapping[str, Any],
    *,
    size: tuple[int, int] | None = None,
    preprocessing: bool = False,
    simplify: bool = False,
) -> None:
    """Exports a whole model, for one image at a time.

    Inputs are ``image`` (1, 3, height, width) float32, resized, normalised and padded, and
    ``valid_size`` (2,) int64, height and width without the padding. With ``preprocessing`` the
    input is the resized ``image`` (height, width, 3) uint8 alone. Outputs are `Detections`.

    Args:
        model: see `DeploymentModel`; on the CPU.
        path: file to write; it appears whole or not at all.
        metadata: JSON that travels in the file.
        size: (height, width) of the only images that the file takes, with their padding; by
            default it takes any.
        simplify: merge and drop operators by onnxslim. The outputs stay the same.

    Raises:
        ValueError: the model is not supported, or onnxslim is missing.
    """
    deployed = DeploymentModel(model)
    height, width = size or (64, 96)
    if preprocessing:
        axes = {0: 'height', 1: 'width'}
        network: nn.Module = RawImageModel(deployed)
        inputs = dict(image=torch.zeros(height, width, 3, dtype=torch.uint8))
    else:
        axes = {2: 'height', 3: 'width'}
        network = deployed
        image = torch.zeros(1, 3, height, width)
        inputs = dict(image=image, valid_size=torch.tensor([height, width]))
    dynamic = DETECTION_AXES if size else {**DETECTION_AXES, 'image': axes}
    _write(path, network, inputs, Detections._fields, dynamic, metadata, simplify=simplify)


def export_head(
    model: Any,
    path: str | os.PathLike,
    metadata: Mapping[str, Any],
    *,
    dynamo: bool = False,
    simplify: bool = False,
) -> None:
    """Exports the MaskIoU head alone, with its calibration, for any number of RoIs.

    Inputs are ``roi_feats`` (R, C, S, S), ``mask_probs`` (R, M, M) and ``labels`` (R,) int64, the
    output is ``mask_ious`` (R,) in [0, 1].

    Args:
        dynamo: use torch's newer exporter. It is exact as well, slower, and writes more operators.
        simplify: as in `export_detector`.
    """
    network = CalibratedScorer(model)
    head, side = network.scorer.head, network.scorer.mask_size
    inputs = dict(
        roi_feats=torch.zeros(2, head.in_channels, *head.roi_feat_size),
        mask_probs=torch.zeros(2, side, side),
        labels=torch.zeros(2, dtype=torch.long),
    )
    outputs = ('mask_ious',)
    _write(path, network, inputs, outputs, HEAD_AXES, metadata, dynamo=dynamo, simplify=simplify)


def require_onnxslim() -> None:
    """Raises a ValueError where the package that simplifies is missing."""
    if importlib.util.find_spec('onnxslim') is None:
        raise ValueError('--simplify needs the package onnxslim: pip install onnxslim')


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns the same computation in fewer operators."""
    import onnxslim

    return onnxslim.slim(model)


@torch.no_grad()
def _write(
    path: str | os.PathLike,
    network: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: tuple[str, ...],
    dynamic_axes: Mapping[str, Mapping[int, str]],
    metadata: Mapping[str, Any],
    *,
    dynamo: bool = False,
    simplify: bool = False,
) -> None:
    if simplify:
        require_onnxslim()
    options: dict[str, Any] = dict(
        input_names=list(inputs),
        output_names=list(outputs),
        opset_version=OPSET[dynamo],
    )
    if dynamo:
        shapes = [dynamic_axes.get(name) for name in inputs]
        rows = torch.export.Dim('rois')
        options['dynamic_shapes'] = tuple(axes and dict.fromkeys(axes, rows) for axes in shapes)
    else:
        options['dynamic_axes'] = dynamic_axes
    if 'dynamo' in inspect.signature(torch.onnx.export).parameters:  # since torch 2.5
        options['dynamo'] = dynamo
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # The older exporter is deprecated, and tells of each size that it records.
        warnings.simplefilter('ignore')
        # The older one writes to streams as well, whatever its types say.
        export: Any = torch.onnx.export
        program = export(
            network.eval(), tuple(inputs.values()), None if dynamo else stream, **options
        )
    written = program.model_proto if dynamo else onnx.load_from_string(stream.getvalue())
    if simplify:
        written = simplified(written)
    written.doc_string = ''
    present = {entry.name for entry in written.graph.input}
    for name, tensor in inputs.items():
        if name not in present:  # torch drops labels that a head of one class does not need
            axes = dynamic_axes.get(name, {})
            shape = [axes.get(axis, side) for axis, side in enumerate(tensor.shape)]
            kind = onnx.helper.np_dtype_to_tensor_dtype(tensor.numpy().dtype)
            written.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, shape))
    domains = {entry.domain for entry in written.opset_import} - {'', 'ai.onnx'}
    used = domains & {node.domain for node in written.graph.node}
    if used:
        raise ValueError(
            f'the exported graph uses operators of {sorted(used)}, not of ai.onnx alone'
        )
    onnx.helper.set_model_props(written, {METADATA: json.dumps(dict(metadata))})
    onnx.checker.check_model(written)
    with atomic_write(path) as out:
        out.write(written.SerializeToString())
