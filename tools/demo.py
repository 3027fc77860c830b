"""Shows what `make demo` made in FOLDER: prints the table and the paths, or draws the picture.

python tools/demo.py work_dirs/demo
python tools/demo.py work_dirs/demo --picture work_dirs/demo/picture.png
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

# What is ranked, by which score, and the metric's name of the AP.
ROWS = (
    ('boxes', 'class score', 'bbox_mAP'),
    ('masks', 'class score', 'segm_mAP_cls'),
    ('masks', 'mask score', 'segm_mAP'),
    ('masks', 'class score x true IoU', 'segm_mAP_oracle'),
    ('masks', 'true IoU, duplicates last', 'segm_mAP_unique'),
)
# What the steps leave, as the Makefile names it.
PATHS = {
    'data': 'data',
    'config': 'scored.py',
    'checkpoint': 'scored.pth',
    'test': 'test',
    'figures': 'figures.json',
    'picture': 'picture.png',
    'page': 'report.html',
}


def table(figures: dict[str, float]) -> str:
    """Returns AP of the boxes, and of the same masks under each ranking, in percent."""
    lines = [f'{"":6} {"ranked by":26} {"AP":>6} {"AP50":>6} {"AP75":>6}']
    for what, score, name in ROWS:
        values = ' '.join(f'{100 * figures[name + suffix]:6.1f}' for suffix in ('', '_50', '_75'))
        lines.append(f'{what:6} {score:26} {values}')
    lines.append(
        f'predicted against true IoU: correlation {figures["mask_iou_pearson"]:.2f}, '
        f'mean absolute error {figures["mask_iou_mae"]:.3f}'
    )
    return '\n'.join(lines)


def read_figures(path: Path) -> dict[str, float]:
    """Returns the figures that mmengine logged of a test, without the metric's prefix."""
    figures = json.loads(path.read_text())
    return {name.rpartition('/')[2]: value for name, value in figures.items()}


def draw(folder: Path, picture: Path) -> None:
    """Draws the images whose order of masks the mask score improves most."""
    # Here, since the table needs no mmdet.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from msrcnn_plugin.visualization import most_improved, read_scored_images, score_figure

    images, class_names = read_scored_images(
        folder / 'data' / 'annotations' / 'instances_val.json',
        folder / 'data' / 'val',
        folder / 'test' / 'results.segm.json',
        folder / 'test' / 'pairs.npz',
    )
    title = 'Where the mask score improves the order most; duplicates of an object in brackets'
    score_figure(most_improved(images, 3), class_names, title).savefig(picture, dpi=130)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, help='where `make demo` wrote')
    parser.add_argument('--picture', type=Path, metavar='FILE', help='draw the picture there')
    args = parser.parse_args(argv)
    figures = args.folder / PATHS['figures']
    if not figures.is_file():
        print(f'demo.py: there is no {figures}: run `make demo` first', file=sys.stderr)
        return 2
    if args.picture:
        draw(args.folder, args.picture)
        return 0
    print(f'\n{table(read_figures(figures))}\n')
    for name, path in PATHS.items():
        print(f'{name:11} {args.folder / path}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
