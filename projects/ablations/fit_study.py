"""Fits mask scores to a trained model, tests it, and adds the run to results/fit.json.

example:
  DSB2018_ROOT=FOLDER python projects/ablations/fit_study.py nuclei \
      configs/nuclei/mask_rcnn_r18_fpn.py epoch_8.pth --seed 0 --steps 2400
  DSB2018_ROOT=FOLDER torchrun --nproc-per-node 2 projects/ablations/fit_study.py ...
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # started as a script, from anywhere

from msrcnn_plugin.apis import evaluate_checkpoint  # noqa: E402
from msrcnn_plugin.apis.fit import fit  # noqa: E402
from msrcnn_plugin.evaluation import Matches  # noqa: E402
from projects.ablations.records import (  # noqa: E402
    file_digest,
    provenance,
    replace_records,
)

LIMITS = (100, 300)  # detections of an image: COCO's, and what our nuclei configs keep
RANKINGS = ('score', 'prob', 'stability', 'product', 'mask_score', 'oracle', 'unique')


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('name', help='of the run')
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--title', help='of the row in the table (the name)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--steps', type=int)
    parser.add_argument('--minutes', type=float, default=15)
    parser.add_argument('--held-out', type=float, default=0.15)
    parser.add_argument('--cache-gb', type=float, default=16)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/fit'))
    parser.add_argument('--results', type=Path, default=REPOSITORY / 'results' / 'fit.json')
    args = parser.parse_args()
    folder = args.work_dir / f'{args.name}-{args.seed}'
    fitted = fit(
        args.config,
        args.checkpoint,
        folder / 'scored.pth',
        minutes=args.minutes,
        steps=args.steps,
        held_out=args.held_out,
        cache_gb=args.cache_gb,
        seed=args.seed,
    )
    if int(os.environ.get('RANK', 0)):
        return 0  # of several processes, the first tests
    test = evaluate_checkpoint(fitted.config, fitted.checkpoint, folder / 'test')
    plain = Path(sys.argv[0]).name
    record = dict(
        study='fit',
        run=args.name,
        title=args.title or args.name,
        seed=args.seed,
        config=args.config,
        start=file_digest(args.checkpoint),
        **provenance(shlex.join([*launcher(), f'projects/ablations/{plain}', *sys.argv[1:]])),
        processes=int(os.environ.get('WORLD_SIZE', 1)),
        fit=fitted.facts,
        figures={k.split('/', 1)[-1]: v if v == v else None for k, v in test.figures.items()},
        **rankings(test.result.matches),
    )
    replace_records(args.results, [record], ('run', 'seed'))
    return 0


def launcher() -> list[str]:
    count = os.environ.get('WORLD_SIZE')
    return ['torchrun', '--nproc-per-node', count] if count else ['python']


def rankings(matches: Matches) -> dict[str, Any]:
    """Mask AP by each ranking, and the gain of the mask score with its interval, at each limit."""
    scores = {name: name for name in RANKINGS if name != 'product'}
    product = matches.scores['score'] * matches.scores['mask_iou']
    found: dict[str, Any] = {}
    for limit in LIMITS:
        ap = {name: matches.rank(scores.get(name, product)).ap(max_dets=limit) for name in RANKINGS}
        room = ap['oracle'] - ap['score']
        found[f'at_{limit}'] = dict(
            ap=ap,
            gain=asdict(matches.bootstrap(max_dets=limit)),
            oracle_share=(ap['mask_score'] - ap['score']) / room if room > 0 else None,
        )
    return found


if __name__ == '__main__':
    sys.exit(main())
