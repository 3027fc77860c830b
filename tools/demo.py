"""From synthetic data to a trained, tested MS R-CNN, a table, a picture and a page (`make demo`).

The steps are what a user would type: `tools/make_demo_data.py`, `mim train`, `mim test`,
`tools/report.py`. Each
leaves a stamp of everything that its result depends on, so a second call repeats nothing, and an
interrupted training goes on where it stopped.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CONFIG = REPOSITORY / 'configs' / 'demo' / 'ms_rcnn_r18_fpn.py'
PLUGIN = REPOSITORY / 'msrcnn_plugin'
DATA_TOOL = REPOSITORY / 'tools' / 'make_demo_data.py'
REPORT_TOOL = REPOSITORY / 'tools' / 'report.py'
SOURCE_SUFFIXES = {'.py', '.html', '.css', '.js'}

# Rows of the table: what is ranked, by which score, the metric's name without COCO's suffix.
ROWS = (
    ('boxes', 'class score', 'bbox_mAP'),
    ('masks', 'class score', 'segm_mAP_cls'),
    ('masks', 'mask score', 'segm_mAP'),
    ('masks', 'class score x true MaskIoU', 'segm_mAP_oracle'),
)
SUFFIXES = ('', '_50', '_75')
# Of mim's many lines, those to show: progress, in short, and what went wrong.
PROGRESS = re.compile(
    r'(Epoch|Iter)\((train|test)\) *\[[^]]*\]|eta: [\d:]+|loss(_mask_iou)?: [\d.]+'
)
TAIL_LINES = 25


class StepError(RuntimeError):
    """A command of the demo failed; the message says where to look."""


# --- steps ---------------------------------------------------------------------------------------


def run_step(name, key, result, action):
    """Do `action` unless `result` is there with a stamp of the same `key`.

    Returns:
        the seconds it took when it was done, now or earlier.
    """
    stamp = result.with_name(result.name + '.stamp')
    done = read_stamp(stamp)
    if done and done['key'] == key and result.exists():
        print(f'{name}: done before, {done["seconds"]:.0f} s ({result})', flush=True)
        return done['seconds']
    print(f'{name} ...', flush=True)
    stamp.unlink(missing_ok=True)
    start = time.monotonic()
    action()
    seconds = time.monotonic() - start
    stamp.write_text(json.dumps(dict(key=key, seconds=seconds)))
    print(f'{name}: {seconds:.0f} s ({result})', flush=True)
    return seconds


def read_stamp(path):
    """The content of a stamp, None where there is none or it was cut off."""
    try:
        stamp = json.loads(path.read_text())
        return stamp if {'key', 'seconds'} <= set(stamp) else None
    except (OSError, ValueError):
        return None


def digest(*parts):
    """One short key of several texts."""
    joined = json.dumps([str(part) for part in parts])
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def sources(*paths):
    """The text of all source files at or below the paths, in a fixed order."""
    found = (file for path in paths for file in (path.rglob('*') if path.is_dir() else [path]))
    files = sorted(file for file in found if file.suffix in SOURCE_SUFFIXES)
    return [(str(file.relative_to(REPOSITORY)), file.read_text()) for file in files]


def step_keys(config_text, data_arguments):
    """What each step's result depends on: its inputs, its code, and the step before."""
    host = [metadata.version(name) for name in ('torch', 'mmcv', 'mmengine', 'mmdet')]
    data = digest(sources(DATA_TOOL), data_arguments)
    training_code = [PLUGIN / name for name in ('geometry', 'models', 'hooks')]
    train = digest(data, config_text, host, sources(*training_code))
    test = digest(train, sources(PLUGIN / 'evaluation'))
    picture = digest(test, sources(PLUGIN / 'visualization', Path(__file__)))
    page = digest(picture, sources(REPORT_TOOL))
    return dict(data=data, train=train, test=test, picture=picture, page=page)


# --- commands ------------------------------------------------------------------------------------


def run_logged(command, log):
    """Run a command, keep all it says in `log`, show its progress.

    A repository that is not installed is found as well: its folder goes first on PYTHONPATH.
    """
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get('PYTHONPATH')]))
    env = dict(os.environ, PYTHONPATH=path, PYTHONUNBUFFERED='1')
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open('w') as file,
        subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            env=env,
            cwd=REPOSITORY,
        ) as process,
    ):
        for line in process.stdout:
            file.write(line)
            show_progress(line)
    if process.returncode:
        tail = '\n'.join(log.read_text().splitlines()[-TAIL_LINES:])
        raise StepError(
            f'{tail}\n\nthis command failed, its whole output is in {log}:\n'
            + ' '.join(map(str, command))
        )


def show_progress(line):
    """Print a line of mim's if it tells how far the work is."""
    if re.search(r'(Epoch|Iter)\((train|test)\) *\[', line):
        print('  ' + '  '.join(found.group() for found in PROGRESS.finditer(line)), flush=True)


def find_mim():
    """The `mim` of this interpreter's environment."""
    mim = Path(sys.executable).parent / 'mim'
    if not mim.exists():
        raise StepError(f'no {mim}: run `make setup`, then this with its Python, .venv/bin/python')
    return mim


def data_options(data):
    """The config options that make a run read the set at `data`."""
    annotations = f'{data}/annotations/instances_val.json'
    loaders = [
        f'{split}_dataloader.dataset.data_root={data}/' for split in ('train', 'val', 'test')
    ]
    return [*loaders, *(f'{split}_evaluator.ann_file={annotations}' for split in ('val', 'test'))]


def make_data(data, arguments):
    run_logged(
        [sys.executable, DATA_TOOL, data, '--overwrite', *arguments], data.with_name('data.log')
    )


def train(config, options, folder, key):
    """`mim train`; goes on where a training with the same key was interrupted."""
    started = folder.with_name(folder.name + '.started')
    resumes = started.exists() and started.read_text() == key and find_checkpoint(folder)
    if not resumes:
        shutil.rmtree(folder, ignore_errors=True)
        started.write_text(key)
    command = [find_mim(), 'train', 'mmdet', config, '--work-dir', folder]
    command += ['--resume'] if resumes else []
    run_logged([*command, '--cfg-options', *options], folder.with_name('train.log'))


def find_checkpoint(folder):
    """The newest whole checkpoint of a training, None before the first.

    mmengine's `last_checkpoint` names it by its absolute path, which a moved folder makes wrong.
    """
    try:
        name = Path((folder / 'last_checkpoint').read_text().strip()).name
    except OSError:
        return None
    return folder / name if (folder / name).is_file() else None


def test(config, options, checkpoint, folder):
    """`mim test`; leaves the figures, the masks and the pairs of predicted and true MaskIoU."""
    shutil.rmtree(folder, ignore_errors=True)
    outputs = [
        f'test_evaluator.outfile_prefix={folder}/results',
        f'test_evaluator.pairs_file={folder}/pairs.npz',
    ]
    command = [find_mim(), 'test', 'mmdet', config, '--checkpoint', checkpoint]
    command += ['--work-dir', folder, '--cfg-options', *options, *outputs]
    run_logged(command, folder.with_name('test.log'))


def read_figures(folder):
    """The metric's figures of a test, without their prefix. mmengine writes one JSON a run."""
    files = sorted(folder.glob('*/*.json'))
    if not files:
        raise StepError(f'the test left no figures in {folder}: delete that folder and call again')
    figures = json.loads(files[-1].read_text())
    return {name.split('/', 1)[-1]: value for name, value in figures.items()}


def draw(data, test_folder, picture):
    """The picture of the images that class score and mask score disagree on most."""
    # Here, not above: `--help` and a refusal of wrong arguments need no mmdet.
    from msrcnn_plugin.visualization import most_telling, read_scored_images, score_figure

    images, class_names = read_scored_images(
        data / 'annotations' / 'instances_val.json',
        data / 'val',
        test_folder / 'results.segm.json',
        test_folder / 'pairs.npz',
    )
    title = 'The same masks with class score, predicted and true MaskIoU'
    score_figure(most_telling(images, 3), class_names, title).savefig(picture, dpi=130)


def make_page(data, test_folder, page):
    """The page of all figures, and of the masks that the class score misjudges most."""
    command = [sys.executable, REPORT_TOOL, test_folder / 'pairs.npz', '--out', page]
    command += ['--annotations', data / 'annotations' / 'instances_val.json']
    command += ['--images', data / 'val', '--predictions', test_folder / 'results.segm.json']
    run_logged([*command, '--name', 'MS R-CNN R18-FPN, demo data'], page.with_name('report.log'))


# --- what it says --------------------------------------------------------------------------------


def table(figures):
    """AP of the boxes, and of the same masks under each ranking, in percent."""
    lines = [f'{"":6} {"ranked by":28} {"AP":>6} {"AP50":>6} {"AP75":>6}']
    for what, score, name in ROWS:
        values = ' '.join(f'{100 * figures[name + suffix]:6.1f}' for suffix in SUFFIXES)
        lines.append(f'{what:6} {score:28} {values}')
    lines.append(
        f'predicted against true MaskIoU: correlation {figures["mask_iou_pearson"]:.2f}, '
        f'mean absolute error {figures["mask_iou_mae"]:.3f}'
    )
    return '\n'.join(lines)


def parse_args(argv=None):
    from tools.arguments import Parser

    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=REPOSITORY / 'work_dirs' / 'demo',
        help='where everything is written (%(default)s)',
    )
    parser.add_argument('--train-images', type=int, default=1200, help='(%(default)s)')
    parser.add_argument('--val-images', type=int, default=150, help='(%(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write figures and paths there')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='changes to the config, for mim train and mim test',
    )
    args = parser.parse_args(argv)
    if args.train_images < 1 or args.val_images < 1:
        parser.error(
            f'--train-images {args.train_images} --val-images {args.val_images}: give 1 or more'
        )
    wrong = [option for option in args.cfg_options if '=' not in option]
    if wrong:
        parser.error(f'--cfg-options {wrong[0]}: give KEY=VALUE')
    return args


def run(args):
    """All steps; returns the figures, the seconds of each step and the paths."""
    from mmengine.config import Config

    root = args.work_dir.resolve()
    root.mkdir(parents=True, exist_ok=True)
    data, train_folder, test_folder = root / 'data', root / 'train', root / 'test'
    picture, page = root / 'picture.png', root / 'report.html'
    data_arguments = ['--train', args.train_images, '--val', args.val_images]
    options = [*data_options(data), *args.cfg_options]
    config_text = Config.fromfile(CONFIG, import_custom_modules=False).pretty_text
    keys = step_keys(config_text + str(options), data_arguments)
    seconds = dict(
        data=run_step('data', keys['data'], data, lambda: make_data(data, data_arguments)),
        train=run_step(
            'training',
            keys['train'],
            train_folder,
            lambda: train(CONFIG, options, train_folder, keys['train']),
        ),
        test=run_step(
            'test',
            keys['test'],
            test_folder,
            lambda: test(CONFIG, options, find_checkpoint(train_folder), test_folder),
        ),
        picture=run_step(
            'picture', keys['picture'], picture, lambda: draw(data, test_folder, picture)
        ),
        page=run_step('page', keys['page'], page, lambda: make_page(data, test_folder, page)),
    )
    paths = dict(
        data=data,
        checkpoint=find_checkpoint(train_folder),
        log=root / 'train.log',
        test=test_folder,
        picture=picture,
        page=page,
    )
    return dict(figures=read_figures(test_folder), seconds=seconds, paths=paths)


def main(argv=None):
    args = parse_args(argv)
    try:
        result = run(args)
    except StepError as error:
        print(f'{error}', file=sys.stderr)
        return 1
    print('\n' + table(result['figures']) + '\n')
    for name, path in result['paths'].items():
        print(f'{name:11} {path}')
    if args.json:
        args.json.write_text(json.dumps(result, indent=2, default=str))
    return 0


if __name__ == '__main__':
    # Python puts tools/ on the path, not the checkout, which may not be installed.
    sys.path.insert(0, str(REPOSITORY))
    sys.exit(main())
