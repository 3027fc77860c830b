"""Registers this plugin with mmdet once mmdet is there, so that evaluation runs without it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

COMPONENTS = 'msrcnn_plugin.components'


def register() -> None:
    """Imports all components where a config is being read, else leaves that to mmdet's registries.

    A config's `custom_imports` must register at once, so that a broken host is reported there. It
    cannot do so later: Python runs an imported package only once.
    """
    if 'mmengine' in sys.modules and find_spec('mmdet'):
        import_module(COMPONENTS)
    else:
        sys.meta_path.insert(0, RegistryFinder())


class RegistryFinder(MetaPathFinder):
    """Waits for the import of `mmdet.registry`; adds our components to where registries look.

    A registry imports its locations at its first lookup. At the import of `mmdet.registry` it would
    be too early: the modules of mmdet that the components build on are not yet imported.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != 'mmdet.registry':
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            for registry in vars(module).values():
                if getattr(registry, 'scope', None) == 'mmdet':
                    # First: mmdet's own modules would report a broken host less clearly.
                    registry._locations.insert(0, COMPONENTS)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
