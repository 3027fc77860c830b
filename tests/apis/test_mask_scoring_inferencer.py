import inspect
import json

import cv2
import numpy as np
import pytest
from mmdet.apis import DetInferencer

from msrcnn_plugin.apis import MaskScoringInferencer
from msrcnn_plugin.visualization import MaskScoringVisualizer

pytestmark = [
    # mmengine says so of every inferencer: the visualizer has no folder of its own.
    pytest.mark.filterwarnings('ignore:Failed to add .*LocalVisBackend'),
    # Boxes of a model that was not trained lie on the border.
    pytest.mark.filterwarnings('ignore:Warning. The .* is out of bounds'),
    # mmdet's visualizer hands tensors to numpy.
    pytest.mark.filterwarnings('ignore:__array_wrap__ must accept:DeprecationWarning'),
]

OVERRIDDEN = ['forward', 'pred2dict', '_init_visualizer']


def make(models_folder, name='scored', cls=MaskScoringInferencer, **kwargs):
    return cls(f'{models_folder}/{name}.py', f'{models_folder}/{name}.pth', device='cpu', **kwargs)


@pytest.fixture(scope='module')
def inferencer(models_folder):
    return make(models_folder, show_progress=False)


@pytest.fixture(scope='module')
def images(models_folder):
    return str(models_folder / 'set' / 'images')


def parameters(cls, method):
    """(name, kind, default) of each, without what it is annotated with."""
    signature = inspect.signature(getattr(cls, method))
    return [(p.name, p.kind, p.default) for p in signature.parameters.values()]


@pytest.mark.parametrize('method', OVERRIDDEN)
def test_a_method_takes_what_mmdets_takes(method):
    ours, theirs = (parameters(cls, method) for cls in (MaskScoringInferencer, DetInferencer))
    named = [p for p in theirs if p[1] is not inspect.Parameter.VAR_KEYWORD]
    assert ours[: len(named)] == named
    assert set(theirs) <= set(ours)
    added = [p for p in ours if p not in theirs]
    assert all(default is not inspect.Parameter.empty for _, _, default in added)


@pytest.mark.parametrize('step', ['preprocess', 'forward', 'visualize', 'postprocess'])
def test_a_call_takes_what_mmdets_takes(step):
    ours, theirs = (
        getattr(cls, f'{step}_kwargs') for cls in (MaskScoringInferencer, DetInferencer)
    )
    assert theirs <= ours


def test_a_config_of_pure_python_is_drawn_with_mask_scores_too(models_folder, tmp_path):
    text = (models_folder / 'scored.py').read_text()
    assert text.count("'DetLocalVisualizer'") == 1
    path = tmp_path / 'scored.py'
    path.write_text(
        'from mmdet.visualization import DetLocalVisualizer\n\n'
        + text.replace("'DetLocalVisualizer'", 'DetLocalVisualizer')
    )
    made = MaskScoringInferencer(str(path), f'{models_folder}/scored.pth', device='cpu')
    assert made.cfg.visualizer.type == 'MaskScoringVisualizer'
    assert isinstance(made.visualizer, MaskScoringVisualizer)


def test_a_folder_in_batches_to_json_and_pictures(inferencer, images, tmp_path):
    options = dict(out_dir=str(tmp_path), no_save_pred=False, pred_score_thr=0)
    found = inferencer(images, batch_size=3, **options)
    assert len(found['predictions']) == 8
    for prediction in found['predictions']:
        scores, ious = (np.array(prediction[name]) for name in ('scores', 'mask_ious'))
        assert len(scores) == 20
        assert ((ious >= 0) & (ious <= 1)).all()
        np.testing.assert_allclose(prediction['mask_scores'], scores * ious, rtol=1e-6)
    files = sorted((tmp_path / 'preds').iterdir())
    assert [path.name for path in files] == [f'{i}.json' for i in range(8)]
    written = [json.loads(path.read_text()) for path in files]
    by_ious = sorted(found['predictions'], key=lambda prediction: prediction['mask_ious'])
    assert sorted(written, key=lambda prediction: prediction['mask_ious']) == by_ious
    pictures = sorted((tmp_path / 'vis').iterdir())
    assert [path.name for path in pictures] == [f'{i}.jpg' for i in range(8)]
    for path in pictures:
        difference = cv2.absdiff(cv2.imread(str(path)), cv2.imread(f'{images}/{path.name}'))
        assert difference.mean() > 5


def test_shows_a_progress_bar(models_folder, images, capsys):
    make(models_folder)(images)
    assert 'Inference' in capsys.readouterr().out


def test_all_but_the_mask_scores_is_what_mmdets_inferencer_gives(models_folder, inferencer, images):
    theirs = make(models_folder, cls=DetInferencer, show_progress=False)
    path = f'{images}/0.jpg'
    (ours,), (expected,) = (infer(path)['predictions'] for infer in (inferencer, theirs))
    assert {name: ours[name] for name in expected} == expected
    assert set(ours) - set(expected) == {'mask_ious', 'mask_scores'}


@pytest.mark.parametrize('field', ['mask_ious', 'mask_scores'])
def test_masks_below_a_threshold_are_left_out_of_everything(inferencer, images, tmp_path, field):
    path = f'{images}/0.jpg'
    (before,) = inferencer(path)['predictions']
    limit = float(np.median(before[field]))
    kept = [i for i, value in enumerate(before[field]) if value >= limit]
    assert 0 < len(kept) < 20
    thresholds = {'mask_ious': 'mask_iou_thr', 'mask_scores': 'mask_score_thr'}
    options = {thresholds[field]: limit, 'out_dir': str(tmp_path), 'no_save_pred': False}
    (after,) = inferencer(path, **options)['predictions']
    for name, values in before.items():
        assert after[name] == [values[i] for i in kept], name
    assert json.loads((tmp_path / 'preds' / '0.json').read_text()) == after


def test_masks_below_a_proven_threshold_are_left_out(inferencer, images, tmp_path):
    path, file = f'{images}/0.jpg', tmp_path / 'threshold.json'
    (before,) = inferencer(path)['predictions']
    limit = float(np.median(before['scores']))
    file.write_text(json.dumps(dict(score='score', threshold=limit)))
    (after,) = inferencer(path, threshold=file)['predictions']
    assert after['scores'] == [score for score in before['scores'] if score >= limit]
    file.write_text(json.dumps(dict(score='score', threshold=None)))
    with pytest.raises(ValueError, match='no threshold of score keeps the promise'):
        inferencer(path, threshold=file)


def test_no_detection(inferencer, images, tmp_path):
    options = dict(mask_score_thr=1.0, out_dir=str(tmp_path), no_save_pred=False)
    found = inferencer(f'{images}/0.jpg', return_vis=True, **options)
    (prediction,) = found['predictions']
    assert prediction['mask_ious'] == prediction['mask_scores'] == prediction['scores'] == []
    image = cv2.imread(f'{images}/0.jpg')
    np.testing.assert_array_equal(found['visualization'][0], image[..., ::-1])


def test_arrays_and_samples(inferencer, images, tmp_path):
    array = cv2.imread(f'{images}/0.jpg')
    options = dict(out_dir=str(tmp_path), no_save_pred=False)
    found = inferencer([array, array], batch_size=2, **options)
    names = sorted(path.name for path in (tmp_path / 'preds').iterdir())
    assert len(names) == len(found['predictions']) == 2
    assert all('mask_ious' in json.loads((tmp_path / 'preds' / n).read_text()) for n in names)
    (sample,) = inferencer(array, return_datasamples=True)['predictions']
    assert len(sample.pred_instances.mask_scores) == 20


def test_images_of_one_stem_have_a_file_each(inferencer, images, tmp_path):
    image = cv2.imread(f'{images}/0.jpg')
    folders = [tmp_path / name for name in ('first', 'second')]
    for folder in folders:
        folder.mkdir()
        for name in ('c.jpg', 'c.png'):
            cv2.imwrite(str(folder / name), image)
    files = [str(path) for folder in folders for path in sorted(folder.iterdir())]
    for _ in range(2):  # a second call writes the same files
        inferencer(files, out_dir=str(tmp_path / 'out'), no_save_pred=False)
    names = {path.name for path in (tmp_path / 'out' / 'preds').iterdir()}
    assert names == {'c.json', 'c.png.json', 'c.jpg.json', 'c.png.2.json'}


def test_a_plain_mask_rcnn_gives_what_mmdets_gives(models_folder, images, tmp_path):
    inferencer = make(models_folder, 'plain', show_progress=False)
    options = dict(out_dir=str(tmp_path), no_save_pred=False)
    (prediction,) = inferencer(f'{images}/0.jpg', **options)['predictions']
    assert set(prediction) == {'labels', 'scores', 'bboxes', 'masks'}
    assert json.loads((tmp_path / 'preds' / '0.json').read_text()) == prediction
    with pytest.raises(ValueError, match='mask_ious, which this model does not predict'):
        inferencer(f'{images}/0.jpg', mask_iou_thr=0.5)
