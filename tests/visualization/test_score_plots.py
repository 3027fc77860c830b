"""What the plots put into their axes, read back from the artists."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from msrcnn_plugin.evaluation import joint_density, reliability_curve
from msrcnn_plugin.visualization import (
    APCurve,
    draw_ap_by_iou,
    draw_ap_gain,
    draw_density,
    draw_reliability,
    draw_scope_means,
)
from msrcnn_plugin.visualization.palette import DARK, STYLES, coloured_key, freest_corner, written
from msrcnn_plugin.visualization.score_plots import FAINTEST

from ..evaluation.test_result import IOUS, result_of

THRESHOLDS = np.linspace(0.5, 0.95, 10)


@pytest.fixture
def ax():
    return Figure().add_subplot()


def texts(ax):
    return [text.get_text() for text in ax.texts]


def curve(name, ap):
    return APCurve(STYLES[name], THRESHOLDS, np.asarray(ap), float(np.mean(ap)))


def test_density_is_opaque_where_most_are_and_clear_where_none_is(ax):
    density = joint_density([0.1, 0.1, 0.9], [0.1, 0.1, 0.6], bins=2)
    cells, means = draw_density(ax, density, STYLES['score'])
    opacity = cells.get_array()[..., 3]
    assert opacity[0, 0] == pytest.approx(1)  # row: estimate, column: true IoU
    assert FAINTEST < opacity[1, 1] < 1
    assert opacity[0, 1] == opacity[1, 0] == 0
    np.testing.assert_allclose(means.get_xydata(), [[0.25, 0.1], [0.75, 0.9]])
    assert '3 detections, correlation 1.00' in texts(ax)


def test_density_of_nothing(ax):
    cells, _ = draw_density(ax, joint_density([], [], bins=2), STYLES['score'])
    assert not cells.get_array()[..., 3].any()
    assert '0 detections, correlation –' in texts(ax)


def test_reliability_shows_filled_bins_and_the_error(ax):
    reliability = reliability_curve([0.15, 0.15, 0.95], [0.4, 0.6, 0.9])
    (dots,) = draw_reliability(ax, {STYLES['mask_iou']: reliability})
    np.testing.assert_allclose(dots.get_offsets(), [[0.15, 0.5], [0.95, 0.9]])
    assert dots.get_sizes()[0] == pytest.approx(2 * dots.get_sizes()[1])
    assert texts(ax) == ['predicted IoU: ECE 0.25']


def test_ap_is_drawn_in_percent_beside_its_mean(ax):
    ap = np.linspace(0.8, 0, 10)
    (line,) = draw_ap_by_iou(ax, [curve('mask_score', ap)])
    np.testing.assert_allclose(line.get_ydata(), 100 * ap)
    assert texts(ax) == ['mask score  40.0']
    assert ax.texts[0].xy[0] == 1


def test_the_key_makes_room_for_curves_that_stay_high(ax):
    draw_ap_by_iou(ax, [curve('mask_score', np.full(10, 0.97))])
    assert ax.texts[0].xy[1] < 0.1


@pytest.mark.parametrize(
    ('start', 'end', 'corner'),
    [(1, 0, 'upper right'), (0, 1, 'lower right'), (1, 1, 'lower right'), (0, 0, 'upper right')],
)
def test_a_key_goes_where_the_lines_are_not(ax, start, end, corner):
    ax.plot([0, 1], [start, end])
    ax.set_ylim(0, 1)
    assert freest_corner(ax, ['a curve']) == corner


def test_a_key_of_an_empty_plot(ax):
    ax.plot([0, 1], [np.nan, np.nan])
    assert freest_corner(ax, []) == 'upper right'


def test_gain_is_the_difference_in_points(ax):
    reference, better = curve('score', np.full(10, 0.4)), curve('mask_score', np.full(10, 0.41))
    zero, line = draw_ap_gain(ax, [better], reference)
    assert not zero.get_ydata().any()
    assert texts(ax) == ['mask score']
    np.testing.assert_allclose(line.get_ydata(), np.ones(10))


def test_the_names_of_gains_stand_above_the_curves(ax):
    reference = curve('score', np.zeros(10))
    better = [
        curve(name, np.full(10, level)) for name, level in (('mask_score', 0.3), ('oracle', 0.4))
    ]
    lines = draw_ap_gain(ax, better, reference)
    ax.figure.canvas.draw()
    highest = max(ax.transData.transform(line.get_xydata())[:, 1].max() for line in lines)
    assert all(text.get_window_extent().y0 > highest for text in ax.texts)


def test_a_single_threshold_is_drawn(ax):
    one = APCurve(STYLES['score'], np.array([0.5]), np.array([0.4]), 0.4)
    (line,) = draw_ap_by_iou(ax, [one])
    assert len(line.get_xdata()) == 1


@pytest.mark.parametrize(('predicts_iou', 'kinds'), [(True, 3), (False, 2)])
def test_means_of_each_scope(ax, predicts_iou, kinds):
    scopes = result_of(**(IOUS if predicts_iou else {})).by_class()
    artists = draw_scope_means(ax, scopes)
    assert len(artists) == kinds
    assert artists[0].get_xdata() == pytest.approx([0.55, 0.8])
    assert artists[1].get_xdata().tolist() == [0.5, 0.9]
    assert [label.get_text() for label in ax.get_yticklabels()] == ['cat (2)', 'dog (1)']


def test_no_scopes(ax):
    assert all(not len(artist.get_xdata()) for artist in draw_scope_means(ax, []))


def luminance(colour):
    """Relative luminance of WCAG 2."""
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first, second):
    lower, higher = sorted((luminance(first), luminance(second)))
    return (higher + 0.05) / (lower + 0.05)


@pytest.mark.parametrize('style', STYLES.values(), ids=list(STYLES))
def test_every_score_can_be_read_on_white_and_on_a_dark_ground(style):
    assert contrast(style.colour, '#ffffff') >= 4.5
    assert contrast(DARK[style.colour], '#1a2027') >= 4.5


def test_scores_differ_in_colour_marker_and_dashes():
    for attribute in ('colour', 'marker', 'dashes'):
        assert len({getattr(style, attribute) for style in STYLES.values()}) == len(STYLES)


@pytest.mark.parametrize(
    ('value', 'text'), [(0.125, '0.12'), (-0.5, '\u22120.50'), (float('nan'), '–')]
)
def test_numbers_as_they_are_written(value, text):
    assert written(value) == text


def test_key_has_the_colours_of_the_curves(ax):
    first, second = coloured_key(ax, [('a', '#000000'), ('b', '#ff0000')], 'lower left')
    assert (first.get_color(), second.get_color()) == ('#000000', '#ff0000')
    assert first.xyann[1] > second.xyann[1] == 0
