"""Two processes with a different number of images give the figures of one."""

import json

import numpy as np
import torch.distributed as dist
import torch.multiprocessing as mp

from msrcnn_plugin.evaluation import MaskScoringMetric

from .coco_sets import CLASSES, fields_of, random_set, samples


def figures_of_shard(rank, world_size, folder):
    """Evaluates every ``world_size``-th image, as mmengine's sampler deals them out."""
    data, results = random_set(3, images=5, truths=6, detections=20, classes=3)
    (folder / 'annotations.json').write_text(json.dumps(data)) if world_size == 1 else None
    metric = MaskScoringMetric(
        ann_file=str(folder / 'annotations.json'), pairs_file=folder / f'pairs{world_size}.npz'
    )
    metric.collect_dir = str(folder / 'parts')
    metric.dataset_meta = {'classes': CLASSES}
    everything = [sample.to_dict() for sample in samples(data, results, fields_of(results))]
    metric.process({}, everything[rank::world_size])
    return len(metric.results), metric.evaluate(len(everything))


def worker(rank, world_size, folder):
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size
    )
    count, figures = figures_of_shard(rank, world_size, folder)
    (folder / f'{rank}.json').write_text(json.dumps([count, figures]))
    dist.destroy_process_group()


def test_uneven_shards(tmp_path):
    _, expected = figures_of_shard(0, 1, tmp_path)
    mp.spawn(worker, args=(2, tmp_path), nprocs=2)
    (first, figures), (second, others) = (
        json.loads((tmp_path / f'{rank}.json').read_text()) for rank in range(2)
    )
    assert (first, second) == (3, 2)
    np.testing.assert_equal(figures, expected)
    np.testing.assert_equal(others, expected)
    with np.load(tmp_path / 'pairs1.npz') as one, np.load(tmp_path / 'pairs2.npz') as two:
        for name in one.files:
            np.testing.assert_array_equal(one[name], two[name])
