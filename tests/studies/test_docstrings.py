"""The examples in the docstrings are what they say."""

import doctest

import pytest

from msrcnn_plugin.studies import inputs
from msrcnn_plugin.studies.summary import Spread


@pytest.mark.parametrize('owner', [inputs, Spread])
def test_examples(owner):
    names = dict(vars(inputs), Spread=Spread)
    examples = [test for test in doctest.DocTestFinder().find(owner, globs=names) if test.examples]
    assert examples
    for example in examples:
        assert doctest.DocTestRunner().run(example).failed == 0
