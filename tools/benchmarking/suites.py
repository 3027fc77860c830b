"""Suites of sections; a section is a few cases that do the same work on the same scene."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Optional

from tools.benchmarking import hosts
from tools.benchmarking.cases import (
    HeadForward,
    HeadOnlyTrainStep,
    MaskTargets,
    PluginTargets,
    Predict,
    RoIHeadLoss,
    StockTargets,
    TrainStep,
)
from tools.benchmarking.models import CASES, build_model, build_roi_head, feature_channels
from tools.benchmarking.rankings import DETECTIONS, FourRankings, OneEvaluation, make_result_set
from tools.benchmarking.scene import make_scene

# By suite, or by suite and section. Enough for quartiles where a call is short; where it takes many
# seconds, what keeps a whole run on two CPU cores at some ten minutes.
ROUNDS = {
    'cpu': {
        'targets': 15,
        'scaling': 3,
        'roi_head_train': 5,
        'roi_head_train/forward_backward': 2,
        'train_step': 2,
        'predict': 5,
        'head_only': 2,
        'hosts': 3,
        'rankings': 5,
    },
    'cuda': {
        'targets': 30,
        'scaling': 5,
        'roi_head_train': 30,
        'train_step': 20,
        'predict': 30,
        'head_only': 20,
        'hosts': 20,
        'rankings': 5,
    },
}
COMPILE_ROUNDS = 10
RANKED_IMAGES = 200


@dataclass(frozen=True)
class Settings:
    """What a run measures; ``rounds`` None: as many as each suite wants."""

    device: str = 'cpu'
    image_size: tuple = (800, 1333)
    objects: int = 20
    positives: int = 128
    rounds: Optional[int] = None
    small: bool = False

    def rounds_of(self, suite, section=''):
        rounds = ROUNDS[self.device]
        default = rounds.get(suite, COMPILE_ROUNDS)
        return self.rounds or rounds.get(f'{suite}/{section}', default)

    def scene(self, images):
        return make_scene(self.image_size, self.objects, self.positives, images)

    def warm_up_scene(self, images):
        """Touches all code and next to no memory."""
        return make_scene((64, 96), 2, 4, images, proposals=20)


@dataclass(frozen=True)
class Section:
    """``cases`` by name: what makes the case from the scene that it will be timed on.

    Of a section that ``may_fail``, a case that cannot run is reported instead of raised. Where
    ``peaks``, peak memory on the CPU is measured too, in a process for each case.
    """

    suite: str
    name: str
    title: str
    images: int
    cases: dict[str, Callable]
    may_fail: bool = False
    peaks: bool = True

    def scene(self, settings):
        """What the cases are timed on."""
        return settings.scene(self.images)

    def warm_up_scene(self, settings):
        return settings.warm_up_scene(self.images)


class ResultSetSection(Section):
    """A section whose cases evaluate the results of ``images`` images."""

    def scene(self, settings):
        return make_result_set(settings.image_size, settings.objects, self.images)

    def warm_up_scene(self, settings):
        return make_result_set((64, 96), 2, 2, detections=4)


def sections_of(suite, settings):
    """The sections of a suite, in the order in which they are measured."""
    return SUITES[suite](settings)


def _targets(settings):
    kinds = dict(mask_rcnn=MaskTargets, ms_rcnn=StockTargets, plugin=PluginTargets)

    def make(case, kind, scene):
        return kinds[case](kind, settings.device)

    return [
        Section(
            'targets',
            kind,
            f'mask and MaskIoU targets (mask_rcnn: the former), {kind}',
            2,
            {case: partial(make, case, kind) for case in CASES},
        )
        for kind in ('bitmaps', 'polygons')
    ]


def _roi_head_train(settings):
    def make(case, backward, scene):
        roi_head = build_roi_head(case, settings.positives, settings.small)
        return RoIHeadLoss(roi_head, feature_channels(settings.small), settings.device, backward)

    return [
        Section(
            'roi_head_train',
            name,
            title,
            2,
            {case: partial(make, case, name != 'forward') for case in CASES},
        )
        for name, title in (
            ('forward', 'RoI head, loss'),
            ('forward_backward', 'RoI head, loss and backward'),
        )
    ]


def _model(settings, case):
    return build_model(case, settings.positives, settings.small)


def _train_step(settings):
    def make(case, scene):
        return TrainStep(_model(settings, case), settings.device)

    title = 'whole model, loss, backward and optimizer step'
    cases = {case: partial(make, case) for case in CASES}
    return [Section('train_step', 'step', title, _images_of_a_step(settings), cases)]


def _predict(settings):
    def make(case, scene):
        return Predict(_model(settings, case), scene, settings.device)

    title = 'whole model, prediction of 100 detections'
    return [Section('predict', 'image', title, 1, {case: partial(make, case) for case in CASES})]


def _head_only(settings):
    kinds = dict(full=TrainStep, head_only=HeadOnlyTrainStep)

    def make(kind, scene):
        return kinds[kind](_model(settings, 'plugin'), settings.device)

    title = 'whole model, training of everything and of the MaskIoU head alone'
    cases = {kind: partial(make, kind) for kind in kinds}
    return [Section('head_only', 'step', title, _images_of_a_step(settings), cases)]


def _hosts(settings):
    return [
        Section(
            'hosts',
            f'{name}/{part}',
            f'{name}, RoI head, {title}',
            1,
            {case: partial(hosts.make_case, name, part, case, settings) for case in hosts.CASES},
            peaks=False,
        )
        for name in hosts.HOSTS
        for part, title in hosts.PARTS.items()
    ]


def _rankings(settings):
    kinds = dict(one_evaluation=OneEvaluation, four_rankings=FourRankings)

    def make(kind, result_set):
        return kinds[kind]()

    images = RANKED_IMAGES // (10 if settings.small else 1)
    title = f'mask AP of {DETECTIONS} detections an image, on the CPU'
    cases = {kind: partial(make, kind) for kind in kinds}
    return [ResultSetSection('rankings', 'masks', title, images, cases)]


def _compile(settings):
    def make(compiled, scene):
        channels = feature_channels(settings.small)
        return HeadForward(channels, settings.positives, settings.device, compiled)

    cases = dict(eager=partial(make, False), compiled=partial(make, True))
    return [Section('compile', 'head', 'MaskIoU head alone, forward', 1, cases, may_fail=True)]


def _images_of_a_step(settings):
    """On a CPU a step of one image already takes many seconds."""
    return 2 if settings.device == 'cuda' else 1


SUITES = dict(
    targets=_targets,
    roi_head_train=_roi_head_train,
    train_step=_train_step,
    predict=_predict,
    head_only=_head_only,
    hosts=_hosts,
    rankings=_rankings,
    compile=_compile,
)
DEFAULT_SUITES = tuple(name for name in SUITES if name not in ('hosts', 'compile'))


# --- scaling of the targets ----------------------------------------------------------------------


def scaling_settings(settings):
    """The grid of the scaling table: smaller and larger than what is measured, and that itself.

    With the defaults: 400 x 667 and 800 x 1333; 1, 20 and 100 objects; 8, 32 and 128 positives.
    """
    half = tuple((side + 1) // 2 for side in settings.image_size)
    objects = sorted({1, settings.objects, 5 * settings.objects})
    positives = sorted({max(1, settings.positives // part) for part in (16, 4, 1)})
    return [
        replace(settings, image_size=size, objects=n, positives=p)
        for size in (half, settings.image_size)
        for n in objects
        for p in positives
    ]
