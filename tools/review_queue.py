"""Queue masks for human review: those with a low predicted IoU, lowest first.

OUT is a COCO annotation file that annotation tools and pycocotools read; each annotation also has
score, mask_iou and mask_score. IMAGES is an image or a folder of them, and file names in OUT are
relative to it.
"""

import argparse
import json
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere


def share(text):
    """A number in [0, 1]."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f'{text!r}: give a number from 0 to 1')
    return number


def parse_args(argv=None):
    from tools.arguments import Parser

    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path, help='of a model with a MaskIoU head')
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('images', type=Path, help='an image, or a folder of them')
    parser.add_argument('out', type=Path, help='COCO annotation file to write')
    parser.add_argument(
        '--below', type=share, default=0.7, help='predicted IoU of what is queued (%(default)s)'
    )
    parser.add_argument(
        '--min-score', type=share, default=0.3, help='least class score (%(default)s)'
    )
    parser.add_argument('--device', help='cuda where there is one')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the counts there')
    args = parser.parse_args(argv)
    for path in (args.config, args.checkpoint, args.images):
        if not path.exists():
            parser.error(f'{path} does not exist')
    for path in filter(None, (args.out, args.json)):
        if not path.absolute().parent.is_dir():
            parser.error(f'{path}: there is no folder {path.parent}: make it')
    return args


def image_files(images):
    """Every image of a folder, or the one given, sorted."""
    from mmdet.apis.det_inferencer import IMG_EXTENSIONS

    if images.is_file():
        return [images]
    return sorted(path for path in images.iterdir() if path.suffix.lower() in IMG_EXTENSIONS)


def predictions(inferencer, files):
    """Predictions one image at a time, with a progress bar."""
    from rich.progress import track

    for path in track(files, description='images'):
        (sample,) = inferencer(str(path), return_datasamples=True)['predictions']
        sample.set_metainfo(dict(img_path=path.name))
        yield sample


def main(argv=None):
    args = parse_args(argv)
    # Here, so that --help and wrong arguments are answered at once.
    from msrcnn_plugin.apis import MaskScoringInferencer, review_queue

    files = image_files(args.images)
    if not files:
        print(f'review_queue.py: {args.images} holds no image: give a folder', file=sys.stderr)
        return 2
    inferencer = MaskScoringInferencer(
        str(args.config), str(args.checkpoint), device=args.device, show_progress=False
    )
    samples = predictions(inferencer, files)
    classes = inferencer.model.dataset_meta['classes']
    try:
        queue = review_queue(samples, classes, below=args.below, min_score=args.min_score)
    except ValueError as error:
        print(f'review_queue.py: {error}', file=sys.stderr)
        return 2
    args.out.write_text(json.dumps(queue))
    counts = dict(images=len(queue['images']), masks=len(queue['annotations']), below=args.below)
    print('{images} images, {masks} masks with a predicted IoU below {below}'.format(**counts))
    if args.json:
        args.json.write_text(json.dumps(counts, indent=2))
    print(args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
