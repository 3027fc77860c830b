"""The gist of the page as a figure and as Markdown."""

from msrcnn_plugin.visualization.report import (
    Cell,
    ReportedModel,
    Table,
    markdown,
    number,
    overview_figure,
)

from ...evaluation.coco_sets import fields_of, random_set
from .models import evaluated, evaluated_set


def titles(figure):
    return [ax.get_title(loc='left') for ax in figure.axes]


def test_before_after_and_gain(tmp_path):
    figure = overview_figure(ReportedModel('a model', evaluated_set(tmp_path)))
    assert titles(figure) == [
        'Class score against true IoU',
        'Mask score against true IoU',
        'Mask AP, points over class score',
    ]


def test_a_plain_model_has_no_after(tmp_path):
    figure = overview_figure(ReportedModel('plain', evaluated_set(tmp_path, predicts_iou=False)))
    assert len(figure.axes) == 2


def test_no_detections(tmp_path):
    data, _ = random_set(3, images=4)
    figure = overview_figure(ReportedModel('blind', evaluated(tmp_path, data, [], fields_of([]))))
    assert figure.axes[0].texts[0].get_text().startswith('0 detections')


def test_markdown_aligns_numbers_to_the_right():
    rows = ((Cell('a'), number(1.25, 1)), (Cell('long', None, True), number(None)))
    assert markdown(Table('', ('name', 'ms'), rows)).splitlines() == [
        '| name     |  ms |',
        '| -------- | --: |',
        '| a        | 1.2 |',
        '| **long** |   – |',
    ]
