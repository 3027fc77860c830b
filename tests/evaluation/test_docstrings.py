"""The examples in the docstrings are true."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    'name', ['assignment', 'boundary', 'coco', 'rankings', 'reliability', 'threshold']
)
def test_examples(name):
    module = importlib.import_module(f'msrcnn_plugin.evaluation.{name}')
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed
