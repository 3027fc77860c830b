"""No ``data_root`` is ignored in silence."""

from __future__ import annotations

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class DataRootHook(Hook):
    """Refuses a ``data_root`` that was set after the config was read, as by ``--cfg-options``.

    A config copies the folder into its data sets while it is read, so a later one changes nothing.

    Args:
        data_root: the config's own.
        variable: the environment variable that names the folder in this config.
    """

    priority = 'VERY_HIGH'

    def __init__(self, data_root: str, variable: str) -> None:
        self._data_root, self._variable = data_root, variable

    def before_run(self, runner: Runner) -> None:
        given = runner.cfg.get('data_root')
        if given != self._data_root:
            raise ValueError(
                f'data_root={given} changes nothing, as the data sets keep {self._data_root}: set '
                f'the environment variable {self._variable}={given} instead'
            )
