import json

import pytest

from msrcnn_plugin.commands import main
from msrcnn_plugin.commands.rescore import verdict
from msrcnn_plugin.evaluation import Rescorer

from ..evaluation.rescoring_sets import scattered_set

JUDGED = dict(ap=0.45, ap_before=0.425, gain=0.025, low=0.01, high=0.04)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, content in zip(('gt.json', 'dt.json'), scattered_set(0)):
        (tmp_path / name).write_text(json.dumps(content))
    return tmp_path


def run(words):
    return main.main(['rescore', *words.split()])


def test_fit_and_apply(folder, capsys):
    assert run('fit --annotations gt.json --results dt.json --out r.json --json judged.json') == 0
    judged = json.loads((folder / 'judged.json').read_text())
    assert verdict(judged) in capsys.readouterr().out
    assert run('apply r.json dt.json --out scored.json --replace-score --json count.json') == 0
    scored = json.loads((folder / 'scored.json').read_text())
    assert scored[0]['score'] == scored[0]['mask_score']
    assert json.loads((folder / 'count.json').read_text())['detections'] == len(scored)


def test_the_results_flow_on(folder, capsys):
    """Report, threshold, review and a connector take what `apply` writes."""
    scored = Rescorer(trees=40, resamples=2).fit('gt.json', 'dt.json').apply('dt.json')
    (folder / 'scored.json').write_text(json.dumps(scored))
    files = '--annotations gt.json --results scored.json'
    assert main.main(f'report {files} --out page --json figures.json'.split()) == 0
    shown = capsys.readouterr().out
    assert 'mask score' in shown
    (model,) = json.loads((folder / 'figures.json').read_text())['models'].values()
    assert model['figures']['segm_mAP'] > model['figures']['segm_mAP_cls'] + 0.1
    promise = '--precision 0.5 --confidence 0.8 --iou 0.6 --json threshold.json'
    assert main.main(f'threshold {files} {promise}'.split()) == 0
    assert 'Keep masks with mask_score' in capsys.readouterr().out
    options = '--threshold threshold.json --min-score 0'
    assert main.main(f'review queue.json {files} {options}'.split()) == 0
    queued = json.loads((folder / 'queue.json').read_text())['annotations']
    limit = json.loads((folder / 'threshold.json').read_text())['threshold']
    scores = [entry['mask_score'] for entry in queued]
    assert scores == sorted(e['mask_score'] for e in scored if e['mask_score'] < limit)
    pytest.importorskip('supervision', reason='supervision is not installed')
    from msrcnn_plugin.connectors.supervision_detections import detections_from_results

    found = dict(detections_from_results('gt.json', 'scored.json'))
    first = [entry for entry in scored if entry['image_id'] == 1]
    assert found[1].data['mask_iou'].tolist() == [entry['mask_iou'] for entry in first]
    assert found[1].data['mask_score'].tolist() == [entry['mask_score'] for entry in first]


def test_the_verdict():
    assert verdict(JUDGED) == (
        'expect mask AP 45.0 instead of 42.5 on images held out: +2.5, 95 % interval +1.0 to +4.0'
    )
    doubtful = verdict({**JUDGED, 'low': -0.001})
    assert doubtful.startswith('do not use it:')
    assert doubtful.endswith('holds 0')


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ('fit --annotations gt.json --results none.json --out r.json', 'none.json: there is no'),
        ('fit --annotations dt.json --results gt.json --out r.json', 'expected an object'),
        ('apply gt.json dt.json --out s.json', 'expected'),
        ('apply dt.json dt.json --out s.json', 'holds no JSON object'),
    ],
)
def test_bad_input_is_one_line_and_status_2(folder, capsys, words, message):
    assert run(words) == 2
    text = capsys.readouterr().err
    assert text.startswith('msrcnn rescore: ')
    assert message in text
    assert text.count('\n') == 1
    assert not (folder / 'r.json').exists()
