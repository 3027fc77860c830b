"""`data_root` moves a config's data, and data that is not there is named before anything starts."""

import argparse
from pathlib import Path

import pytest
from mmengine.config import Config, DictAction
from mmengine.registry import MODELS, RUNNERS

from msrcnn_plugin.data_root import dataset_roots, require_data, with_data_root

NUCLEI = Path(__file__).parent.parent / 'configs' / 'nuclei'


def config(**keys):
    loader = dict(
        dataset=dict(data_root='data/old/', ann_file='a.json', data_prefix=dict(img='i/'))
    )
    return Config(
        dict(
            train_dataloader=loader,
            val_dataloader=loader,
            test_dataloader=loader,
            val_evaluator=dict(ann_file='data/old/a.json', metric=['bbox']),
            test_evaluator=[dict(ann_file='data/old/a.json'), dict(type='Other')],
            **keys,
        )
    )


def test_every_path_below_the_old_folder_moves():
    moved = with_data_root(config(data_root='/new'))
    assert dataset_roots(moved) == ['/new/']
    assert moved.train_dataloader.dataset.ann_file == 'a.json'
    assert moved.val_evaluator.ann_file == '/new/a.json'
    assert moved.test_evaluator[0].ann_file == '/new/a.json'
    assert moved.val_evaluator.metric == ['bbox']


@pytest.mark.parametrize('keys', [{}, {'data_root': None}, {'data_root': ''}])
def test_without_a_data_root_nothing_changes(keys):
    given = config(**keys)
    assert with_data_root(given).to_dict() == given.to_dict()


def test_the_config_given_stays_as_it_was():
    given = config(data_root='/new')
    with_data_root(given)
    assert dataset_roots(given) == ['data/old/']


def test_a_path_that_merely_begins_alike_stays():
    given = config(data_root='/new')
    given.val_evaluator.ann_file = 'data/older/a.json'
    assert with_data_root(given).val_evaluator.ann_file == 'data/older/a.json'


def test_a_loader_that_is_none_of_a_config_is_told():
    given = config(data_root='/new')
    given.val_dataloader = 3
    for function in (with_data_root, require_data):
        with pytest.raises(ValueError, match='val_dataloader=3: give dict'):
            function(given)


def test_a_loader_that_is_absent_is_no_matter():
    given = config(data_root='/new')
    given.val_dataloader = given.val_evaluator = None
    assert dataset_roots(with_data_root(given)) == ['/new/']


def test_missing_data_is_refused_with_advice(tmp_path):
    given = config(data_root=str(tmp_path / 'nowhere'), data_root_help='convert it first')
    with pytest.raises(FileNotFoundError, match=r'nowhere.*convert it first'):
        RUNNERS.get('DataRootRunner').from_cfg(given)
    require_data(with_data_root(config(data_root=str(tmp_path))))


# --- the nuclei configs, which use it


@pytest.mark.parametrize(
    ('name', 'head'),
    [('mask_rcnn_r18_fpn.py', 'StandardRoIHead'), ('ms_rcnn_r18_fpn.py', 'MSRoIHead')],
)
def test_nuclei_config_builds(name, head):
    nuclei = Config.fromfile(NUCLEI / name)
    assert type(MODELS.build(nuclei.model).roi_head).__name__ == head
    assert nuclei.val_evaluator.proposal_nums[-1] >= nuclei.model.test_cfg.rcnn.max_per_img > 100


@pytest.mark.parametrize('name', ['mask_rcnn_r18_fpn.py', 'ms_rcnn_r18_fpn.py'])
def test_nuclei_data_is_found_by_environment_and_by_option(name, monkeypatch, tmp_path):
    monkeypatch.setenv('DSB2018_ROOT', '/by/environment')
    by_environment = Config.fromfile(NUCLEI / name)
    assert dataset_roots(by_environment) == ['/by/environment/']
    assert by_environment.test_evaluator.ann_file.startswith('/by/environment/annotations/')
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    options = parser.parse_args(['--cfg-options', f'data_root={tmp_path}']).cfg_options
    by_environment.merge_from_dict(options)
    by_option = with_data_root(by_environment)
    assert dataset_roots(by_option) == [f'{tmp_path}/']
    assert by_option.test_evaluator.ann_file == f'{tmp_path}/annotations/instances_val.json'


def test_missing_nuclei_are_refused_with_all_three_ways_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv('DSB2018_ROOT', str(tmp_path / 'nowhere'))
    nuclei = Config.fromfile(NUCLEI / 'ms_rcnn_r18_fpn.py')
    with pytest.raises(FileNotFoundError) as refused:
        RUNNERS.build(nuclei)
    for word in ('nowhere', 'DSB2018_ROOT', 'data_root=', 'convert_dsb2018.py'):
        assert word in str(refused.value)
