"""The page in a real browser: on a desk, on a phone, in the dark."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from msrcnn_plugin.visualization import Gallery, MisjudgedMask
from msrcnn_plugin.visualization.report import ReportedModel, render_report

from .models import evaluated_set

NAMES = ('chromium', 'chromium-browser', 'google-chrome')
DARK = '--blink-settings=preferredColorScheme=0'
# A window is never narrower than 500 px, so the page stands in a frame of the width asked for.
FRAME = """<!DOCTYPE html><title>frame</title><meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,"><body>
<script>addEventListener('message', (event) => { document.body.dataset.answers = event.data; });
</script><iframe src="page.html" width="WIDTH" height="900" style="border: 0"></iframe>"""
# What the browser says of the page, sent to the frame.
QUESTIONS = """
<script>
window.addEventListener('load', () => {
  const pictures = [...document.images];
  const table = document.querySelector('table');
  const column = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent.trim() === 'AP50');
  const shown = () => [...table.tBodies[0].rows].map((row) => row.cells[column].textContent);
  const button = table.tHead.rows[0].cells[column].querySelector('button');
  const before = shown();
  button.click();
  const descending = shown();
  const order = table.tHead.rows[0].cells[column].getAttribute('aria-sort');
  button.click();
  const text = document.querySelector('svg text');
  parent.postMessage(JSON.stringify({
    width: window.innerWidth,
    scrolled: document.documentElement.scrollWidth,
    pictures: pictures.length,
    loaded: pictures.filter((picture) => picture.complete && picture.naturalWidth > 0).length,
    drawn: [...document.querySelectorAll('svg')].map((svg) => svg.getBoundingClientRect().height),
    dark: matchMedia('(prefers-color-scheme: dark)').matches,
    ground: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(text).fill,
    smallest: Math.min(...[...document.querySelectorAll('svg text')].map(
        (item) => item.getBoundingClientRect().height)),
    before, descending, ascending: shown(), order,
  }), '*');
});
</script>
"""  # noqa: E501


def misjudged(name):
    image = np.full((40, 40, 3), 120, np.uint8)
    mask = np.zeros((40, 40), bool)
    mask[10:30, 5:20] = True
    return MisjudgedMask(image, mask, mask.T, name, 'a class', 0.9, 0.7, 0.2)


@pytest.fixture(scope='module')
def browser():
    found = [path for name in NAMES if (path := shutil.which(name))]
    if not found:
        pytest.skip(f'none of {", ".join(NAMES)} is installed (apt-get install chromium)')
    return found[0]


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp('page')
    gallery = Gallery((misjudged('a.png'), misjudged('b.png')), (misjudged('c' * 90),))
    model = ReportedModel(
        'a model of a rather long name', evaluated_set(folder / 'one'), gallery=gallery
    )
    plain = ReportedModel('plain', evaluated_set(folder / 'two', predicts_iou=False))
    path = folder / 'page.html'
    text = render_report([model, replace(plain, facts={'ms': 12.5})])
    path.write_text(text.replace('</body>', QUESTIONS + '</body>'), encoding='utf-8')
    return path


@pytest.fixture(scope='module')
def ask(browser, page, tmp_path_factory):
    """Opens the page in a window of a size; gives the browser's answers and what it complained."""

    def ask(width, *options):
        profile = tmp_path_factory.mktemp('profile')
        frame = page.with_name(f'frame_{width}.html')
        frame.write_text(FRAME.replace('WIDTH', str(width)))
        command = [browser, '--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars']
        command += [f'--user-data-dir={profile}', f'--window-size={max(width, 500)},900', *options]
        command += ['--enable-logging=stderr', '--virtual-time-budget=5000', '--dump-dom']
        done = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True)
        found = re.search(r'data-answers="([^"]*)"', done.stdout)
        assert found, done.stderr[-2000:]
        complaints = [line for line in done.stderr.splitlines() if 'CONSOLE' in line]
        return json.loads(unescape(found.group(1))), complaints

    return ask


@pytest.fixture(scope='module')
def desk(ask):
    return ask(1280)


@pytest.fixture(scope='module')
def phone(ask):
    return ask(390)


@pytest.fixture(scope='module')
def dark(ask):
    return ask(1280, DARK)


def channels(colour):
    return [int(value) for value in re.findall(r'\d+', colour)[:3]]


@pytest.mark.parametrize('window', ['desk', 'phone', 'dark'])
def test_the_console_stays_silent(window, request):
    assert request.getfixturevalue(window)[1] == []


def test_every_picture_loads(desk):
    answers, _ = desk
    assert answers['pictures'] == 3
    assert answers['loaded'] == answers['pictures']
    assert len(answers['drawn']) > 8
    assert min(answers['drawn']) > 100


def test_a_phone_scrolls_downwards_only(phone):
    answers, _ = phone
    assert answers['width'] == 390
    assert answers['scrolled'] <= 390


def test_text_in_pictures_is_legible_on_a_phone(phone):
    assert phone[0]['smallest'] >= 9


def test_a_click_on_a_head_sorts_and_a_second_one_turns_the_order(desk):
    answers, _ = desk
    values = sorted(float(value) for value in answers['before'])
    assert len(set(values)) > 1
    assert [float(value) for value in answers['descending']] == values[::-1]
    assert [float(value) for value in answers['ascending']] == values
    assert answers['order'] == 'descending'


def test_dark_mode_turns_ground_and_ink(desk, dark):
    assert not desk[0]['dark']
    assert min(channels(desk[0]['ground'])) > 230 > 100 > max(channels(desk[0]['ink']))
    assert dark[0]['dark']
    assert max(channels(dark[0]['ground'])) < 40 < 200 < min(channels(dark[0]['ink']))
