import time

import pytest
import torch
from torch import nn

from msrcnn_plugin.apis.prediction_cost import measured_predictions


class Slow(nn.Linear):
    """Takes 0.1 s and 64 MiB for a batch of two."""

    def test_step(self, data):
        held = torch.ones(2**24)
        time.sleep(0.1)
        return [held.sum()] * len(data)


def test_time_memory_and_parameters_of_predictions():
    model = Slow(3, 2)
    with measured_predictions(model) as costs:
        for _ in range(3):
            model.test_step(['first', 'second'])
    assert 0.05 <= costs['cost/seconds_per_image'] < 1
    assert costs['cost/parameters'] == 8
    assert costs.get('cost/extra_memory', 2**26) == pytest.approx(2**26, rel=0.5)
    assert 'test_step' not in vars(model)


def test_without_a_prediction_the_parameters_alone_are_known():
    with measured_predictions(Slow(3, 2)) as costs:
        pass
    assert costs == {'cost/parameters': 8}
