"""A folder that no data set reads is refused; the config's own is not."""

from types import SimpleNamespace

import pytest
from mmengine.config import Config

from msrcnn_plugin.hooks import DataRootHook

from ..test_configs import CONFIGS


@pytest.mark.parametrize('name', ['nuclei/stock_ms_rcnn_r50_fpn', 'demo/ms_rcnn_r18_fpn'])
def test_data_root_of_the_command_line_is_refused(name):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    given = cfg.default_hooks.data_root
    hook = DataRootHook(given.data_root, given.variable)
    hook.before_run(SimpleNamespace(cfg=cfg))
    cfg.merge_from_dict(dict(data_root='elsewhere', val_dataloader=None))
    with pytest.raises(ValueError, match=f'variable {given.variable}=elsewhere'):
        hook.before_run(SimpleNamespace(cfg=cfg))
