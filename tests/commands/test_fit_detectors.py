"""`msrcnn fit` adds mask scores to trained models without RoI heads."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.runner import Runner, load_checkpoint

from msrcnn_plugin.apis.fit import detections
from msrcnn_plugin.apis.fit.scored_config import DETECTORS
from msrcnn_plugin.checkpoints import read_checkpoint
from msrcnn_plugin.commands.main import main

from ..models.any_hosts import HOST_WARNINGS, batch_of, build, stock_cfg, tiny_cfg
from ..tiny_set import add_copies, run_config, write_tiny_set

pytest.importorskip('sklearn', reason='scikit-learn, which fits calibrations, is not installed')
pytestmark = HOST_WARNINGS


def test_each_host_has_its_scoring_detector():
    assert DETECTORS['RTMDet'] == 'MSRTMDet'
    assert {'CondInst', 'BoxInst', 'YOLACT', 'SOLO', 'SOLOv2', 'QueryInst', 'MaskFormer'} < {
        *DETECTORS
    }
    assert all(scoring == f'MS{host}' for host, scoring in DETECTORS.items())


# SOLOv2 emits no boxes, and Mask2Former's neck is its pixel decoder.
@pytest.mark.parametrize('name', ['rtmdet_ins_tiny', 'solov2_r50_fpn', 'mask2former_r50'])
def test_a_trained_detector_gets_mask_scores(tmp_path, name):
    torch.manual_seed(0)
    scoring = tiny_cfg(name)
    weights = {k: v for k, v in build(scoring).state_dict().items() if 'mask_iou_head' not in k}
    torch.save(dict(state_dict=weights), tmp_path / 'trained.pth')
    data = add_copies(write_tiny_set(tmp_path / 'set'), 3)
    cfg = run_config(data, tmp_path / 'run', model=stock_cfg(scoring))
    cfg.dump(tmp_path / 'plain.py')
    words = [tmp_path / 'plain.py', tmp_path / 'trained.pth', tmp_path / 'scored.pth']
    assert main(['fit', *map(str, words), '--steps', '2']) == 0

    after = read_checkpoint(tmp_path / 'scored.pth').weights
    assert all(torch.equal(after[key], value) for key, value in weights.items())
    added = {key.split('.')[0] for key in after.keys() - weights.keys()}
    assert added == {'mask_iou_head', 'mask_rank_head', 'mask_iou_calibration'}

    cfg = Config.fromfile(tmp_path / 'scored.py')
    cfg.load_from, cfg.experiment_name = str(tmp_path / 'scored.pth'), f'{name}_scored'
    runner = Runner.from_cfg(cfg)
    load_checkpoint(runner.model, cfg.load_from, strict=True)
    plain = MODELS.build(Config.fromfile(tmp_path / 'plain.py').model)
    plain.load_state_dict(weights)
    for batch in runner.test_dataloader:
        with torch.no_grad():
            found = runner.model.eval().test_step(batch)[0].pred_instances
            host = plain.eval().test_step(batch)[0].pred_instances
        assert torch.equal(found.scores, host.scores)
        assert torch.equal(found.masks, host.masks)
        assert found.mask_ious.shape == found.mask_scores.shape == host.scores.shape
        assert ((found.mask_ious >= 0) & (found.mask_ious <= 1)).all()
        assert not len(found) or not torch.equal(found.mask_scores, found.scores * found.mask_ious)


def test_a_batch_in_which_solo_finds_nothing_is_kept_and_scored():
    cfg = tiny_cfg('solov2_r50_fpn')
    cfg.update(mask_rank_head=dict(type='MSMaskRankHead'))
    cfg.test_cfg.score_thr = 2.0  # which no score reaches
    model = build(cfg).eval()
    _, samples = batch_of(1)
    batch = dict(inputs=[torch.zeros(3, 128, 128)], data_samples=samples)
    ((image, values),) = detections._detected(model, batch)
    assert image['labels'].dtype == torch.long  # as those of other images
    assert len(image['scores']) == len(image['masks']) == len(values) == 0
    found = model.test_step(batch)[0].pred_instances
    assert found.mask_ious.shape == found.mask_scores.shape == (0,)
