"""What is to be reached, and what was.

Results are what `tools/benchmark.py --json` writes: ``results['suites'][suite][section][case]`` as
:func:`measuring.summary` makes it, and ``results['scaling']``, one entry a cell of the table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from tools.benchmarking.measuring import ratio, slope


@dataclass(frozen=True)
class Goal:
    """A figure of the results and the bound it should keep.

    Attributes:
        text: what is compared.
        sign: '≥', '≤' or '<', how the figure should lie to the bound.
        bounds: by device; a device that is not named has no such goal.
        figure: takes the results; None where they do not have it.
    """

    text: str
    sign: str
    bounds: dict[str, float]
    figure: Callable[[dict], Optional[float]]


def reached(results):
    """The goals of the device of ``results``, each with what was reached; JSON's types only."""
    device = results['settings']['device']
    rows = []
    for goal in GOALS:
        if device not in goal.bounds:
            continue
        figure, bound = goal.figure(results), goal.bounds[device]
        met = None if figure is None else keeps(figure, goal.sign, bound)
        rows.append(dict(goal=goal.text, sign=goal.sign, bound=bound, reached=figure, met=met))
    return rows


def keeps(figure, sign, bound):
    """Whether ``figure`` lies to ``bound`` as ``sign`` says; a NaN does not."""
    return {'≥': figure >= bound, '≤': figure <= bound, '<': figure < bound}[sign]


# --- figures -------------------------------------------------------------------------------------


def time_ratio(suite, section, above, below):
    """Median of the ratios of the rounds."""

    def figure(results):
        cases = results['suites'].get(suite, {}).get(section)
        return cases and ratio(cases[above]['seconds'], cases[below]['seconds'])[1]

    return figure


def memory_ratio(suite, section, above, below):
    """Of the peaks."""

    def figure(results):
        cases = results['suites'].get(suite, {}).get(section)
        if not cases or cases[above]['peak'] is None or not cases[below]['peak']:
            return None
        return cases[above]['peak'] / cases[below]['peak']

    return figure


def growth(cells):
    """From the fewest positives to the most, for each image size and number of objects.

    Returns:
        dicts with ``image_size``, ``objects``, ``positives`` (fewest, most), and by case
        ``seconds_per_positive`` and ``times``, how many times as long the most take.
    """
    groups = {}
    for cell in cells:
        groups.setdefault((tuple(cell['image_size']), cell['objects']), []).append(cell)
    return [
        _growth_of(size, objects, min(group, key=_positives), max(group, key=_positives))
        for (size, objects), group in groups.items()
        if len({_positives(cell) for cell in group}) > 1
    ]


def _positives(cell):
    return cell['positives']


def _growth_of(size, objects, few, many):
    ends = few['positives'], many['positives']
    seconds = {
        name: (few['cases'][name]['seconds'], many['cases'][name]['seconds'])
        for name in many['cases']
    }
    return dict(
        image_size=list(size),
        objects=objects,
        positives=list(ends),
        seconds_per_positive={name: slope(*both, ends) for name, both in seconds.items()},
        times={name: ratio(*reversed(both))[1] for name, both in seconds.items()},
    )


def worst_growth_ratio(results):
    """The plugin's seconds a positive as a share of stock's, where that share is largest.

    Where stock's time does not grow, on tiny images, noise is all there is; that is left out.
    """
    seconds = [row['seconds_per_positive'] for row in growth(results['scaling'])]
    shares = [case['plugin'] / case['ms_rcnn'] for case in seconds if case['ms_rcnn'] > 0]
    return max(shares, default=None)


def worst_growth_against_linear(results):
    """How many times as long the most positives take, by how many times as many they are."""
    shares = [
        row['times']['plugin'] * row['positives'][0] / row['positives'][1]
        for row in growth(results['scaling'])
    ]
    return max(shares, default=None)


GOALS = (
    Goal(
        'targets: stock MS R-CNN / plugin, time',
        '≥',
        dict(cpu=10.0, cuda=5.0),
        time_ratio('targets', 'bitmaps', 'ms_rcnn', 'plugin'),
    ),
    Goal(
        'targets: plugin / stock MS R-CNN, extra peak memory',
        '≤',
        dict(cpu=0.05),
        memory_ratio('targets', 'bitmaps', 'plugin', 'ms_rcnn'),
    ),
    Goal(
        'targets from polygons: plugin / stock MS R-CNN, time',
        '≤',
        dict(cpu=1.0, cuda=1.0),
        time_ratio('targets', 'polygons', 'plugin', 'ms_rcnn'),
    ),
    Goal(
        'MSRoIHead.loss / StandardRoIHead.loss (Mask R-CNN), time',
        '≤',
        dict(cpu=1.0, cuda=1.0),
        time_ratio('roi_head_train', 'forward', 'plugin', 'mask_rcnn'),
    ),
    Goal(
        'MSRoIHead.loss / MaskScoringRoIHead.loss, time',
        '≤',
        dict(cpu=0.8, cuda=0.6),
        time_ratio('roi_head_train', 'forward', 'plugin', 'ms_rcnn'),
    ),
    Goal(
        'predict, 100 detections: plugin / Mask R-CNN, time',
        '≤',
        dict(cuda=1.05),
        time_ratio('predict', 'image', 'plugin', 'mask_rcnn'),
    ),
    Goal(
        'predict, 100 detections: plugin / stock MS R-CNN, time',
        '≤',
        dict(cpu=1.0),
        time_ratio('predict', 'image', 'plugin', 'ms_rcnn'),
    ),
    Goal(
        'targets, time of one more positive: plugin / stock, largest of the scaling table',
        '<',
        dict(cpu=0.5, cuda=0.5),
        worst_growth_ratio,
    ),
    Goal(
        'targets, growth from fewest to most positives / linear growth, largest of the table',
        '≤',
        dict(cpu=1.0, cuda=1.0),
        worst_growth_against_linear,
    ),
    Goal(
        'training step: full / MaskIoU head only, time',
        '≥',
        dict(cpu=3.0, cuda=3.0),
        time_ratio('head_only', 'step', 'full', 'head_only'),
    ),
    Goal(
        'training step: MaskIoU head only / full, extra peak memory',
        '≤',
        dict(cpu=0.4, cuda=0.4),
        memory_ratio('head_only', 'step', 'head_only', 'full'),
    ),
    Goal(
        "mask AP: the metric's four rankings / CocoMetric, time",
        '≤',
        dict(cpu=1.3, cuda=1.3),
        time_ratio('rankings', 'masks', 'four_rankings', 'one_evaluation'),
    ),
)
