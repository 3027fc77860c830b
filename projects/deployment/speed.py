"""Times the ways to run one model in turns: mmdet, torch, compiled, and onnxruntime."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from mmdet.apis import inference_detector
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16

from msrcnn_plugin.apis.test_set import image_folder
from msrcnn_plugin.deploy import DeployedModel
from msrcnn_plugin.deploy.model import read_image
from msrcnn_plugin.export.check import TorchSession, with_masks
from msrcnn_plugin.export.onnx_file import (
    CalibratedScorer,
    export_detector,
    export_head,
    simplified,
)

TITLES = dict(
    host="mmdet's `inference_detector`",
    torch='deployment module in torch',
    compiled='the same by torch.compile',
    file='the file in onnxruntime',
    simplified='the same, `--simplify`',
    int8='the same, dynamic int8',
    float16='the same, float16',
)
MASKS, ROUNDS = 100, 15  # of the head alone


class Model(NamedTuple):
    """A loaded model and what the exported file says of it."""

    module: Any
    metadata: dict[str, Any]
    config: Any


def speed_records(model: Model, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yields the time of an image by each case, with one thread and with two."""
    files = exported(model, args.work_dir)
    pixels = [read_image(path) for path in paths(model, args)]
    before, found = torch.get_num_threads(), {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        cases: dict[str, Callable[[Any], Any]] = {
            'host': lambda image: inference_detector(model.module, image).pred_instances.numpy()
        }
        for name in ('torch', 'compiled'):
            runner, session = DeployedModel(files['file']), TorchSession(model.module)
            if name == 'compiled':
                session.deployed = torch.compile(session.deployed)
            runner.session = session
            cases[name] = pasting(runner)
        for name, path in files.items():
            cases[name] = pasting(DeployedModel(path, threads=threads))
        found[f'threads_{threads}'] = timed(cases, pixels, args)
    torch.set_num_threads(before)
    yield from records('export-image', found, files)


def head_records(model: Model, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yields the time of the MaskIoU head alone, with one thread and with two."""
    files = variants(
        args.work_dir / 'head.onnx',
        lambda path: export_head(model.module, path, dict(model.metadata, kind='head')),
    )
    scorer = CalibratedScorer(model.module).eval()
    head = scorer.scorer.head
    generator = torch.Generator().manual_seed(0)
    tensors = dict(
        roi_feats=torch.randn(MASKS, head.in_channels, *head.roi_feat_size, generator=generator),
        mask_probs=torch.rand(
            MASKS, scorer.scorer.mask_size, scorer.scorer.mask_size, generator=generator
        ),
        labels=torch.zeros(MASKS, dtype=torch.long),
    )
    inputs = {name: tensor.numpy() for name, tensor in tensors.items()}
    before, found = torch.get_num_threads(), {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        compiled = torch.compile(scorer)
        cases: dict[str, Callable[[Any], Any]] = {
            'torch': lambda _: scorer(**tensors).numpy(),
            'compiled': lambda _, run=compiled: run(**tensors).numpy(),
        }
        options = SessionOptions()
        options.intra_op_num_threads = threads
        for name, path in files.items():
            session = InferenceSession(path, options, providers=['CPUExecutionProvider'])
            # Simplifying drops the labels, which a head of one class does not need.
            given = {entry.name: inputs[entry.name] for entry in session.get_inputs()}
            cases[name] = lambda _, run=session.run, given=given: run(None, given)[0]
        found[f'threads_{threads}'] = timed(cases, [None] * ROUNDS, args)
    torch.set_num_threads(before)
    yield from records('export-head', found, files)


def exported(model: Model, folder: Path) -> dict[str, Path]:
    """Exports the model, and makes the smaller files of it."""
    return variants(
        folder / 'model.onnx',
        lambda path: export_detector(model.module, path, model.metadata),
    )


def variants(path: Path, export: Callable[[Path], None]) -> dict[str, Path]:
    """Writes a file by ``export``, and the same simplified, in int8 and in float16."""
    export(path)
    files = {'file': path} | {
        name: path.with_suffix(f'.{name}.onnx') for name in ('simplified', 'int8', 'float16')
    }
    loaded = onnx.load(path)
    onnx.save(simplified(loaded), files['simplified'])
    quantize_dynamic(path, files['int8'])
    half = convert_float_to_float16(onnx.load(path), keep_io_types=True)
    half.metadata_props.extend(loaded.metadata_props)
    onnx.save(half, files['float16'])
    return files


@torch.no_grad()
def timed(
    cases: Mapping[str, Callable[[Any], Any]], inputs: Sequence[Any], args: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Measures each case on the inputs; the first call of each warms it up."""
    cases = {name: case for name, case in cases.items() if name not in args.without}
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    errors, others = dict.fromkeys(cases, 0.0), dict.fromkeys(cases, 0)
    for number, given in enumerate([inputs[0], *inputs]):
        expected: Any = None
        for name, case in cases.items():
            start = time.perf_counter()
            result = case(given)
            if not number:
                continue
            seconds[name].append(time.perf_counter() - start)
            ious = getattr(result, 'mask_ious', result)
            expected = ious if expected is None else expected
            if expected.shape == ious.shape:
                errors[name] = max(errors[name], float(np.abs(ious - expected).max(initial=0)))
            else:
                others[name] += 1
    first = next(iter(cases))
    return {
        name: dict(
            seconds=median(spent),
            ratio=median(a / b for a, b in zip(spent, seconds[first])),
            error=errors[name],  # in inputs of as many detections
            other_counts=others[name],
            inputs=len(inputs),
        )
        for name, spent in seconds.items()
    }


def records(
    study: str, found: Mapping[str, Mapping[str, Any]], files: Mapping[str, Path]
) -> Iterator[dict[str, Any]]:
    """Yields a record of each case from its times by number of threads."""
    for name, title in TITLES.items():
        of_case = {threads: cases[name] for threads, cases in found.items() if name in cases}
        if of_case:
            size = files[name].stat().st_size if name in files else None
            yield dict(study=study, run=name, title=title, bytes=size, **of_case)


def pasting(model: DeployedModel) -> Callable[[Any], Any]:
    return lambda image: with_masks(model(image))


def paths(model: Model, args: argparse.Namespace) -> list[Path]:
    """The first images of the test set."""
    folder = Path(image_folder(model.config.test_dataloader.dataset) or '')
    images = json.loads(Path(model.config.test_evaluator.ann_file).read_text())['images']
    return [folder / image['file_name'] for image in images[: args.images]]
