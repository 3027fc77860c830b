"""An exported model that detects the same two objects in every image."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DETECTIONS = dict(
    bboxes=np.array([[8, 8, 32, 40], [0, 0, 48, 24]], dtype=np.float32),
    labels=np.array([0, 1]),
    scores=np.array([0.9, 0.4], dtype=np.float32),
    mask_probs=np.ones((2, 28, 28), dtype=np.float32),
    mask_ious=np.array([0.5, 0.8], dtype=np.float32),
    mask_scores=np.array([0.45, 0.32], dtype=np.float32),
)
METADATA = dict(
    kind='detector',
    categories=[dict(id=1, name='person'), dict(id=2, name='bicycle'), dict(id=3, name='car')],
    resize=dict(scale=[48, 48], keep_ratio=True),
    mean=[1.0, 2.0, 3.0],
    std=[2.0, 2.0, 2.0],
    swap_channels=True,
    pad_size_divisor=32,
    pad_value=0,
    mask_threshold=0.5,
    preprocessing=False,
    size=None,
)


def write_constant_model(path, **metadata):
    """Write the model; ``metadata`` replaces what it says of itself."""
    types = dict(f=TensorProto.FLOAT, i=TensorProto.INT64)
    nodes = [
        helper.make_node('Constant', [], [name], value=numpy_helper.from_array(value))
        for name, value in DETECTIONS.items()
    ]
    outputs = [
        helper.make_tensor_value_info(name, types[value.dtype.kind], value.shape)
        for name, value in DETECTIONS.items()
    ]
    inputs = [
        helper.make_tensor_value_info('image', TensorProto.FLOAT, [1, 3, None, None]),
        helper.make_tensor_value_info('valid_size', TensorProto.INT64, [2]),
    ]
    graph = helper.make_graph(nodes, 'constant', inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    helper.set_model_props(model, dict(msrcnn=json.dumps({**METADATA, **metadata})))
    onnx.save(model, path)
