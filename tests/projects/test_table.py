"""The table of runs: every row is a model that learns, and every record is of the row's config."""

import inspect
import json
from pathlib import Path

import mmdet
import pytest
from mmdet.registry import MODELS
from mmengine.utils import import_modules_from_strings

from msrcnn_plugin.apis.fit import fit
from msrcnn_plugin.apis.fit.scored_config import scored_config
from msrcnn_plugin.models.mask_forward import stages
from projects.ablations.run import REPOSITORY, Run
from projects.ablations.scoring import MEASURES
from projects.ablations.table import CACHED_HEADS, DEMO, STUDIES

from ..models.hosts import batch_of, losses, narrow, predict

EXPANSION = {18: 1, 50: 4}  # of a ResNet's last layers
NARROW = {96: 16, 64: 16, 48: 8, 512: 32, 256: 32, 128: 16}
RUNS = [
    Run(study, row, 0, Path())
    for study in (*STUDIES.values(), CACHED_HEADS, DEMO)
    for row in study.rows
    if study.name != 'nuclei_gpu'  # the same models as nuclei, wide
]
# Their rows are trained without a mask score, which msrcnn fit adds.
FITTED = [study for study in STUDIES.values() if study.fit]
HEADS_ALONE = [study for study in STUDIES.values() if study not in FITTED]
RECORDS = [
    record
    for name in ('nuclei', 'ablations')
    for record in json.loads((REPOSITORY / 'results' / f'{name}.json').read_text())['runs']
    if 'title' not in record  # of a run whose row was removed
]


def tiny_model(cfg):
    """Of the config's parts, but narrow, with few RoIs."""
    if cfg.roi_head.get('shared_head'):
        narrow(cfg, {**NARROW, 256: 64, 512: 128})
        cfg.backbone.base_channels = 16
        cfg.roi_head.shared_head.stage = 1  # which fixes its widths: 64 channels to 128
    else:
        narrow(cfg, NARROW)
        cfg.backbone.base_channels = 8
        cfg.neck.in_channels = [width * EXPANSION[cfg.backbone.depth] for width in (8, 16, 32, 64)]
    rcnn = cfg.train_cfg.rcnn
    for stage in rcnn if isinstance(rcnn, list) else [rcnn]:
        stage.sampler.num = 16
    cfg.train_cfg.rpn_proposal.max_per_img = cfg.test_cfg.rpn.max_per_img = 20
    cfg.test_cfg.rcnn.update(score_thr=0.0, max_per_img=10)
    model = MODELS.build(cfg)
    model.init_weights()
    # Whole boxes: without training no mask would be above a τ or a cut, none better than another.
    for head in stages(model.roi_head.mask_head):
        *_, (_, bias) = head.conv_logits.named_parameters()
        bias.data.fill_(2.0)
    return model


@pytest.mark.parametrize(
    'run', [r for r in RUNS if r.study.results in ('ablations', 'cached_heads')], ids=str
)
def test_an_ablation_learns_and_scores(run):
    import_modules_from_strings(list(run.study.imports))
    model, batch = tiny_model(run.configs()[0].model), batch_of(3, 0)
    model.roi_head.only_mask_iou_loss = True
    loss = losses(model, batch)['loss_mask_iou']
    loss.backward()
    assert loss > 0
    head = model.roi_head.mask_iou_head
    assert all(param.grad is not None for param in head.parameters())
    assert head.fc_mask_iou.weight.grad.any()
    for results in predict(model, batch):
        assert ((results.mask_ious >= 0) & (results.mask_ious <= 1)).all()
        assert len(results.mask_scores) == len(results)


@pytest.mark.parametrize('study', HEADS_ALONE, ids=lambda study: study.name)
def test_the_rows_of_a_study_differ_in_mask_scoring_alone(study):
    first, *others = (Run(study, row, 0, Path()).configs() for row in study.rows)
    for cfg, test in others:
        for key in ('train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg'):
            assert cfg[key] == first[0][key], key
        for part in ('backbone', 'neck', 'rpn_head', 'test_cfg'):
            assert cfg.model[part] == first[0].model[part], part
        for part in ('bbox_head', 'mask_head', 'bbox_roi_extractor', 'mask_roi_extractor'):
            assert cfg.model.roi_head[part] == first[0].model.roi_head[part], part
        assert test.test_dataloader == first[1].test_dataloader
        assert cfg.get('custom_hooks') == first[0].get('custom_hooks')


@pytest.mark.filterwarnings('ignore:indexing with dtype torch.uint8')  # a shared RoI extractor
@pytest.mark.filterwarnings('ignore:To copy construct from a tensor')  # mmdet's merged masks
@pytest.mark.parametrize('run', [r for r in RUNS if r.study in FITTED], ids=str)
def test_a_row_learns_and_takes_a_mask_score(run, tmp_path):
    import_modules_from_strings(list(run.study.imports))
    cfg, test = run.configs()
    test.dump(tmp_path / 'test.py')
    scored, _ = scored_config(tmp_path / 'test.py', tmp_path / 'scored.py')
    model, batch = tiny_model(cfg.model), batch_of(3, 0)
    found = losses(model, batch)
    sum(found.values()).backward()
    assert all(value.isfinite() for value in found.values())
    trained = [p for name, p in model.named_parameters() if '.mask_' in name]
    assert all(param.grad is not None for param in trained)
    for results in predict(tiny_model(scored.model), batch):
        assert len(results.masks) == len(results) == len(results.mask_scores)


@pytest.mark.parametrize('study', FITTED, ids=lambda study: study.name)
def test_the_rows_of_a_fitted_study_are_trained_alike(study):
    assert set(study.measures) <= set(MEASURES)
    assert set(study.fit) <= set(inspect.signature(fit).parameters)
    first, *others = (Run(study, row, 0, Path()).configs()[0] for row in study.rows)
    assert others
    for cfg in others:
        for key in ('optim_wrapper', 'param_scheduler', 'train_cfg'):
            assert cfg[key] == first[key], key


def test_mmdets_weights_fit_the_head_that_they_are_tested_with():
    (run,) = (run for run in RUNS if run.row.test)
    trained, tested = (MODELS.build(cfg.model).state_dict() for cfg in run.configs())
    assert {k: v.shape for k, v in trained.items()} == {k: v.shape for k, v in tested.items()}


def test_names_are_unique_and_the_run_to_compare_with_is_there():
    for study in STUDIES.values():
        names = [row.name for row in study.rows]
        assert len(set(names)) == len(names)
        assert study.compare_with in (None, *names)


@pytest.mark.parametrize('record', RECORDS, ids=lambda record: f'{record["run"]}-{record["seed"]}')
def test_a_record_is_of_the_config_that_the_row_has_today(record):
    if record['versions']['mmdet'] != mmdet.__version__:
        pytest.skip("another mmdet's base configs")
    (row,) = (row for row in STUDIES[record['study']].rows if row.name == record['run'])
    found = Run(STUDIES[record['study']], row, record['seed'], Path()).identity()
    # As it is read back.
    assert json.loads(json.dumps(found)).items() <= record.items()
    assert {'commit', 'command', 'versions', 'training', 'figures', 'gain'} <= set(record)
