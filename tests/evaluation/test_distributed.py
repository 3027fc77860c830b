"""Two processes with a different number of images give the figures of one."""

import json
from datetime import timedelta

import numpy as np
import torch.distributed as dist
import torch.multiprocessing as mp

from msrcnn_plugin.evaluation import MaskScoringMetric

from .coco_sets import CLASSES, fields_of, random_set, samples


def figures_of_shard(rank, world_size, folder):
    """Evaluates every ``world_size``-th image, as mmengine's sampler deals them out."""
    data, results = random_set(3, images=5, truths=6, detections=20, classes=3)
    if world_size == 1:
        (folder / 'annotations.json').write_text(json.dumps(data))
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
        'gloo',
        init_method=f'file://{folder}/store',
        rank=rank,
        world_size=world_size,
        timeout=timedelta(minutes=3),
    )
    try:
        count, figures = figures_of_shard(rank, world_size, folder)
        (folder / f'{rank}.json').write_text(json.dumps([count, figures]))
    finally:
        dist.destroy_process_group()


def test_uneven_shards(tmp_path):
    _, expected = figures_of_shard(0, 1, tmp_path)
    # This process is the first rank: another one less that has to import everything.
    second = mp.get_context('spawn').Process(target=worker, args=(1, 2, tmp_path))
    second.start()
    worker(0, 2, tmp_path)
    second.join(timeout=60)
    assert second.exitcode == 0
    shards = [json.loads((tmp_path / f'{rank}.json').read_text()) for rank in range(2)]
    assert [count for count, _ in shards] == [3, 2]
    for _, figures in shards:
        np.testing.assert_equal(figures, expected)
    with np.load(tmp_path / 'pairs1.npz') as one, np.load(tmp_path / 'pairs2.npz') as two:
        for name in one.files:
            np.testing.assert_array_equal(one[name], two[name])
