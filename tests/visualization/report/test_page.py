"""The page as text; tests/visualization/report/test_browser.py looks at it in a browser."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from msrcnn_plugin.evaluation import MaskScoringResult, evaluate_coco
from msrcnn_plugin.visualization.report import (
    Cell,
    ReportedModel,
    Table,
    number,
    overview_figure,
    render_report,
    write_report,
)

from ...evaluation.coco_sets import CLASSES, data_set, fields_of, random_set
from .models import evaluated, evaluated_set, with_ap

SECTIONS = {
    'What the ranking is worth',
    'Does the score know the mask?',
    'Is the number right?',
    'Where it lies',
}


class Outline(HTMLParser):
    """What a test asks of a page."""

    VOID = ('meta', 'link', 'img', 'br')

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.addresses, self.headings, self.pictures = [], [], [], [], 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.pictures += tag == 'svg'
        self.ids += [attributes['id']] if 'id' in attributes else []
        self.addresses += [attributes[key] for key in ('src', 'href') if key in attributes]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == 'h2':
            self.headings.append(data)


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return ReportedModel('a <model>', evaluated_set(tmp_path_factory.mktemp('set')))


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp('plain')
    return ReportedModel('plain', evaluated_set(folder, predicts_iou=False))


@pytest.fixture(scope='module')
def page(model):
    return render_report([model])


def test_every_element_is_closed_and_every_section_there(page):
    outline = Outline(page)
    assert not outline.open
    assert set(outline.headings) >= SECTIONS
    assert outline.pictures == 8


def test_needs_no_network_and_no_other_file(page):
    addresses = Outline(page).addresses
    assert addresses
    assert all(address.startswith(('data:', '#')) for address in addresses)
    assert not re.search(r'@import|url\((?!#|data:)', page)


def test_pictures_share_no_names(model, plain):
    ids = Outline(render_report([model, plain])).ids
    assert ids
    assert len(ids) == len(set(ids))


def test_pictures_take_the_pages_colours(page):
    pictures = ''.join(re.findall('<svg.*?</svg>', page, re.DOTALL))
    assert 'var(--c1f2933)' in pictures
    assert '#1f2933' not in pictures


def test_what_a_user_names_is_escaped(page):
    assert 'a &lt;model&gt;' in page
    assert 'a <model>' not in page


def test_the_same_models_make_the_same_page(model, page):
    assert render_report([model]) == page


def test_a_plain_model_lacks_what_needs_a_predicted_iou(plain):
    page = render_report([plain])
    assert set(Outline(page).headings) >= SECTIONS
    assert 'Predicted IoU against' not in page
    assert 'Mask score against' not in page
    assert 'ECE, predicted IoU' not in page


def test_several_models_stand_side_by_side(model, plain):
    page = render_report([plain, model])
    assert 'Each model, its masks ranked by its own score' in page
    assert '<h3>The models</h3>' in page
    assert page.count('by size, by class</h3>') == 2


def test_further_figures_and_tables(model):
    table = Table('Cost', ('model', 'ms'), ((Cell('a'), number(12.5, 1)),), 'On one core.')
    with_facts = ReportedModel('b', model.result, box_ap={'': 0.25}, facts={'ms': 12.345})
    page = render_report([with_facts], tables=[table], command='make <demo>')
    for text in ('<h3>Cost</h3>', 'On one core.', '12.35', 'boxes', '25.0', 'make &lt;demo&gt;'):
        assert text in page


def test_results_of_any_model_with_a_score_of_its_own():
    data, results = random_set(5, images=6, truths=6, detections=30)
    for place, result in enumerate(results):
        result['quality <b>'] = (place % 7) / 7
    found = evaluate_coco(data, results, ('score', 'quality <b>'))
    page = render_report([ReportedModel('any model', found)])
    assert not Outline(page).open
    assert page.count('Quality &lt;b&gt; against true IoU') >= 1
    assert 'best possible ranking' in page
    assert 'How much of what a score could gain' in page
    assert 'ECE, quality &lt;b&gt;' in page


def test_no_detections(tmp_path):
    data, _ = random_set(3, images=4)
    page = render_report([ReportedModel('blind', evaluated(tmp_path, data, [], fields_of([])))])
    assert not Outline(page).open
    assert 'nan' not in page.lower().replace('nano', '')


def test_no_ground_truth(tmp_path):
    _, results = random_set(3, images=4)
    result = evaluated(tmp_path, data_set(range(1, 5), (), CLASSES), results, fields_of(results))
    page = render_report([ReportedModel('a model', result)])
    assert 'Mask AP by IoU threshold' not in page
    assert '>–<' in page


@pytest.mark.parametrize('names', [[], ['a', 'a']])
def test_models_need_different_names(names):
    with pytest.raises(ValueError, match='at least one, each under another name'):
        render_report([with_ap(0.3, 0.3, 0.3, name) for name in names])


def test_a_page_is_written_whole(tmp_path):
    write_report(tmp_path / 'new' / 'page.html', 'MaskIoU × 1')
    assert (tmp_path / 'new' / 'page.html').read_text(encoding='utf-8') == 'MaskIoU × 1'
    assert len(list((tmp_path / 'new').iterdir())) == 1


def test_names_with_dollar_signs_are_no_formulas(model):
    named = replace(model.matches, category_names=('$x_$', '$^$', 'c$'))
    dollars = ReportedModel('$y_$', replace(model.result, matches=named), score_name='$z_$ score')
    page = render_report([dollars, model])
    assert page.count('$x_$ (') == 1
    assert '>$y_$<' in page
    assert overview_figure(dollars).savefig(io.BytesIO()) is None


def test_many_classes_fit_a_page(model):
    matches = model.matches
    many = replace(
        matches,
        category_ids=(*matches.category_ids, *range(1000, 2200)),
        category_names=(*matches.category_names, *map(str, range(1000, 2200))),
    )
    result = MaskScoringResult.from_matches(many)
    page = render_report([ReportedModel(str(place), result) for place in range(4)])
    assert len(page.encode()) < 5e6
    assert page.count('The 200 of 1203 classes with most detections.') == 4
    assert page.count('<td>cat</td>') == 4


def test_a_page_that_grows_too_large_is_refused(model, monkeypatch):
    monkeypatch.setattr('msrcnn_plugin.visualization.report.page.MOST_BYTES', 1e4)
    with pytest.raises(ValueError, match='fewer models or galleries'):
        render_report([model])
