"""From the pairs of two tests to an exponent and what it is worth."""

import json

import pytest

from tools import score_exponent

from ..evaluation.test_score_exponent import scored, two_masks_one_object


@pytest.fixture
def files(tmp_path):
    """Where a low exponent is the best, and where the paper's is."""
    low, product = tmp_path / 'low.npz', tmp_path / 'product.npz'
    two_masks_one_object().save(low)
    scored(two_masks_one_object(), [0.8, 0.4], [0.6, 1.0]).save(product)
    return low, product


def test_chooses_on_one_and_judges_on_the_other(files, tmp_path, capsys):
    low, product = map(str, files)
    out = tmp_path / 'figures.json'
    assert score_exponent.main([low, product, '--json', str(out)]) == 0
    found = json.loads(out.read_text())
    assert found['exponent'] == 0.5
    # There the low exponent puts the poor mask first, and halves 7 thresholds of 10.
    assert found['gain']['gain'] == pytest.approx(-0.35)
    shown = capsys.readouterr().out
    assert 'chosen: 0.5; against 1 it gains -35.00 AP in JUDGE' in shown
    assert '    0.50      100.00       65.00' in shown


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['gone.npz', 'product.npz'], 'no such file'),
        (['low.npz', 'low.npz'], 'give another'),
        (['low.npz', 'product.npz', '--json', 'no/folder.json'], 'make it'),
        (['broken.npz', 'product.npz'], 'broken.npz'),
    ],
)
def test_wrong_arguments_are_told_in_one_line(
    files, tmp_path, monkeypatch, capsys, arguments, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'broken.npz').write_text('none')
    with pytest.raises(SystemExit) as end:
        score_exponent.main(arguments)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
