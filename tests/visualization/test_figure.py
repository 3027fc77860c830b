"""What is drawn where: artists are looked at, not pixels, except once for the whole figure."""

import io
import itertools

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from msrcnn_plugin.visualization import ScoredImage, draw_masks, draw_scores, score_figure
from msrcnn_plugin.visualization.figure import CLASS_COLOURS, MARKS

NAMES = ['cell', 'leaf']
SIZE = (32, 40)


def rectangle(x1, y1, x2, y2):
    mask = np.zeros(SIZE, bool)
    mask[y1:y2, x1:x2] = True
    return mask


def scored_image(count=3):
    masks = np.array([rectangle(4, 4, 12, 12), rectangle(20, 2, 30, 9), rectangle(0, 20, 40, 32)])
    return ScoredImage(
        image=np.full((*SIZE, 3), 100, np.uint8),
        masks=masks[:count],
        labels=np.array([0, 1, 1])[:count],
        scores=np.array([0.9, 0.8, 0.5])[:count],
        mask_ious=np.array([0.5, 0.75, 0.8])[:count],
        mask_scores=np.array([0.45, 0.6, 0.4])[:count],
        true_ious=np.array([0.4, 0.9, 0.7])[:count],
        unique_ious=np.array([0.4, 0.9, 0.0])[:count],
        gt_masks=masks[:2],
        gt_labels=np.array([0, 1]),
    )


@pytest.fixture
def ax():
    return Figure().add_subplot()


def test_masks_are_outlined_in_the_colour_of_their_class(ax):
    image = scored_image()
    outlines = draw_masks(ax, image.image, image.masks, image.labels)
    colours = [to_hex(outline.get_edgecolor()[0]).upper() for outline in outlines]
    assert colours == [CLASS_COLOURS[0], CLASS_COLOURS[1], CLASS_COLOURS[1]]
    assert not ax.texts


def test_an_outline_is_closed_at_the_border_and_halfway_between_pixels(ax):
    mask = rectangle(0, 20, 40, 32)
    (outline,) = draw_masks(ax, np.zeros((*SIZE, 3), np.uint8), [mask], [0])
    (path,) = outline.get_paths()
    assert path.vertices.min(axis=0).tolist() == [-0.5, 19.5]
    assert path.vertices.max(axis=0).tolist() == [39.5, 31.5]


def test_tint_lies_on_the_masks_alone(ax):
    image = scored_image()
    draw_masks(ax, image.image, image.masks[:2], image.labels[:2])
    tint = ax.images[1].get_array()
    assert np.array_equal(tint[..., 3] > 0, image.masks[:2].any(axis=0))


def test_numbers_follow_the_order_and_stay_off_their_masks(ax):
    image = scored_image()
    artists = draw_masks(ax, image.image, image.masks, image.labels, numbered=True)
    assert [text.get_text() for text in artists[3:]] == ['1', '2', '3']
    x, y = artists[3].get_position()
    assert not image.masks[0, round(y), round(x)]


def test_an_empty_mask_is_left_out_and_keeps_its_number(ax):
    image = scored_image()
    masks = image.masks.copy()
    masks[0] = False
    artists = draw_masks(ax, image.image, masks, image.labels, numbered=True)
    assert [text.get_text() for text in artists[2:]] == ['2', '3']


def test_a_number_belongs_to_the_largest_piece(ax):
    mask = rectangle(4, 10, 14, 20) | rectangle(38, 30, 39, 31)
    *_, number = draw_masks(ax, np.zeros((*SIZE, 3), np.uint8), [mask], [0], numbered=True)
    x, y = number.get_position()
    assert 0 <= x <= 14
    assert 0 <= y <= 20


def test_no_masks_leave_the_image(ax):
    image = scored_image(0)
    assert draw_masks(ax, image.image, image.masks, image.labels, numbered=True) == []
    assert np.array_equal(ax.images[0].get_array(), image.image)


def test_every_detection_has_its_three_values_on_its_line(ax):
    marks = draw_scores(ax, scored_image(), NAMES)
    values = [(float(m.get_xdata()[0]), int(m.get_ydata()[0]), m.get_marker()) for m in marks]
    markers = [mark['marker'] for mark in MARKS.values()]
    assert values == [
        (x, y, marker)
        for y, row in enumerate([(0.9, 0.5, 0.4), (0.8, 0.75, 0.9), (0.5, 0.8, 0.7)])
        for x, marker in zip(row, markers)
    ]
    assert [label.get_text() for label in ax.get_yticklabels()] == ['1 cell', '2 leaf', '(3 leaf)']


def test_mask_scores_stand_with_their_rank_and_bold_where_it_changed(ax):
    draw_scores(ax, scored_image(), NAMES)
    assert [text.get_text() for text in ax.texts] == ['0.45  #2', '0.60  #1', '0.40  #3']
    assert [text.get_fontweight() for text in ax.texts] == ['bold', 'bold', 'normal']


def test_scores_of_no_detections_are_an_empty_axes(ax):
    assert draw_scores(ax, scored_image(0), NAMES) == []


def test_figure_is_a_picture_with_headings_and_both_legends():
    figure = score_figure([scored_image(), scored_image(1)], NAMES, 'The title')
    assert len(figure.axes) == 8
    assert figure.get_suptitle() == 'The title'
    assert [ax.get_title() for ax in figure.axes[:3]] == [
        *('image', 'ground truth', 'detections, numbered by class score'),
    ]
    legends = [[text.get_text() for text in legend.get_texts()] for legend in figure.legends]
    assert legends == [NAMES, list(MARKS)]
    stream = io.BytesIO()
    figure.savefig(stream, format='png', dpi=40)
    pixels = cv2.imdecode(np.frombuffer(stream.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    height, width = (round(40 * inches) for inches in figure.get_size_inches()[::-1])
    assert pixels.shape[0] == pytest.approx(height, abs=1)
    assert pixels.shape[1] == pytest.approx(width, abs=1)
    assert pixels.std() > 10


def test_no_text_of_a_figure_overlaps_another():
    figure = score_figure([scored_image(), scored_image()], NAMES, 'The title')
    figure.draw_without_rendering()
    texts = [*figure.texts, *(t for legend in figure.legends for t in legend.get_texts())]
    for ax in figure.axes:
        texts += [*ax.texts, ax.title]
        if ax.axison:
            texts += [*ax.get_xticklabels(), *ax.get_yticklabels()]
    boxes = {text: text.get_window_extent() for text in texts if text.get_text()}
    pairs = itertools.combinations(boxes, 2)
    assert not [(a.get_text(), b.get_text()) for a, b in pairs if boxes[a].overlaps(boxes[b])]


def test_a_figure_of_no_images_still_says_what_it_is():
    figure = score_figure([], NAMES, 'Nothing found')
    assert figure.get_suptitle() == 'Nothing found'
    assert figure.axes == []
