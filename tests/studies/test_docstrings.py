"""The examples in the docstrings are true."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize('name', ['inputs', 'summary'])
def test_examples(name):
    module = importlib.import_module(f'msrcnn_plugin.studies.{name}')
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
