"""Which pictures a page has, section by section; what cannot be drawn is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from ...evaluation import ReliabilityCurve, joint_density, reliability_curve
from ..palette import SIZE_INCHES, STYLES, UNCALIBRATED, Style
from ..score_plots import (
    APCurve,
    draw_ap_by_iou,
    draw_ap_gain,
    draw_density,
    draw_reliability,
    draw_scope_means,
)
from .inline_pictures import inline_svg
from .reported_model import ReportedModel

# By class, so many rows fit a picture; the table has them all.
MOST_ROWS = 20
PAPERS_LOW = 0.5


@dataclass(frozen=True)
class Picture:
    """A drawn figure; ``model`` is empty where it shows several."""

    title: str
    model: str
    svg: Markup


@dataclass(frozen=True)
class Section:
    """Pictures under a heading, and how to read them."""

    title: str
    note: str
    pictures: tuple[Picture, ...]


def sections(models: Sequence[ReportedModel]) -> list[Section]:
    """Every section that has a picture."""
    drawn = [
        Section(
            'What the ranking is worth',
            'Mask AP at each IoU threshold, and what each ranking of the same masks gains over '
            f'ranking them by {" or ".join(dict.fromkeys(m.score_name for m in models))}.',
            (*compared_ap(models), *(p for m in models for p in ap_pictures(m))),
        ),
        Section(
            'Does the score know the mask?',
            'Detections whose score and true IoU both exceed 0.5, as in figure 2 of the paper. '
            'The stronger the colour of a cell, the more detections (logarithmic, from one to the '
            'number above the plot). The line is the mean score in each bin of the true IoU: '
            'that of a score which knows the mask follows the dashed diagonal.',
            tuple(picture for model in models for picture in score_pictures(model)),
        ),
        Section(
            'Is the number right?',
            'All detections. On the dashed diagonal an estimate means what it says; below it, it '
            'is too high. ECE is the expected calibration error, 10 equal bins, 0 is perfect.',
            tuple(picture for model in models for picture in calibration_pictures(model)),
        ),
        Section(
            'Where it lies',
            'The bar is the mean true IoU. A mark to its right is too high, to its left too '
            'low. In brackets, the number of detections.',
            tuple(picture for model in models for picture in scope_pictures(model)),
        ),
    ]
    return [section for section in drawn if section.pictures]


def score_pictures(model: ReportedModel) -> list[Picture]:
    """Before and after scoring, as the paper has it, and any other score of the results."""
    names = ['score', *(['mask_score'] if model.has_mask_score else []), *model.other_scores]
    return [
        picture
        for name in names
        for picture in _density(model, model.style(name), model.matches.scores[name], PAPERS_LOW)
    ]


def ap_pictures(model: ReportedModel) -> list[Picture]:
    """AP over IoU thresholds under each ranking, and its gain."""
    curves = {name: ap_curve(model, name) for name in model.rankings}
    reference = curves['score']
    if np.isnan(reference.ap).all():
        return []
    figure, ax = _figure()
    draw_ap_by_iou(ax, list(curves.values()))
    gain, gain_ax = _figure()
    draw_ap_gain(gain_ax, [c for name, c in curves.items() if name != 'score'], reference)
    return [
        _picture(model, 'Mask AP by IoU threshold', figure),
        _picture(model, f'AP points over {model.score_name}', gain),
    ]


def compared_ap(models: Sequence[ReportedModel]) -> list[Picture]:
    """Each model under its own main ranking; nothing for a single model."""
    if len(models) < 2:
        return []
    styles = list(STYLES.values())
    curves = [
        replace(
            ap_curve(model, model.main_ranking),
            style=replace(styles[place % len(styles)], name=model.name),
        )
        for place, model in enumerate(models)
    ]
    figure, ax = _figure()
    draw_ap_by_iou(ax, curves)
    title = 'Each model, its masks ranked by its own score'
    return [Picture(title, '', inline_svg(figure, title))]


def calibration_pictures(model: ReportedModel) -> list[Picture]:
    """Reliability of class score and predicted IoU; predicted against true IoU."""
    scores, true_iou = model.matches.scores, model.matches.true_iou
    styles = {'score': model.style('score'), 'uncalibrated_mask_iou': UNCALIBRATED,
              'mask_iou': model.style('mask_iou')}  # fmt: skip
    styles.update({name: model.style(name) for name in model.other_scores})
    curves: dict[Style, ReliabilityCurve] = {
        style: reliability_curve(scores[name], true_iou)
        for name, style in styles.items()
        if name in scores and len(true_iou) and 0 <= scores[name].min() <= scores[name].max() <= 1
    }
    if not curves:
        return []
    figure, ax = _figure()
    draw_reliability(ax, curves)
    pictures = [_picture(model, 'Reliability', figure)]
    if model.predicts_iou:
        pictures += _density(model, STYLES['mask_iou'], scores['mask_iou'], 0.0)
    return pictures


def scope_pictures(model: ReportedModel) -> list[Picture]:
    """Means by object size and by class; the classes with most detections."""
    result = model.result
    sizes = [scope for scope in result.by_size() if scope.detections]
    classes = [scope for scope in result.by_class() if scope.detections]
    parts = [('By object size', sizes)]
    if len(model.matches.category_ids) > 1:
        shown = sorted(classes, key=lambda scope: -scope.detections)[:MOST_ROWS]
        title = 'By class'
        if len(classes) > len(shown):
            title += f', the {len(shown)} with most detections'
        parts.append((title, shown))
    pictures = []
    for title, scopes in parts:
        if scopes:
            figure, ax = _figure(height=1.3 + 0.3 * len(scopes))
            draw_scope_means(ax, scopes, model.style('score'))
            pictures.append(_picture(model, title, figure))
    return pictures


def _density(model: ReportedModel, style: Style, values: np.ndarray, low: float) -> list[Picture]:
    density = joint_density(values, model.matches.true_iou, low=low)
    if not density.total:
        return []
    figure, ax = _figure()
    draw_density(ax, density, style)
    title = f'{style.name[0].upper()}{style.name[1:]} against true IoU'
    return [_picture(model, title, figure)]


def ap_curve(model: ReportedModel, name: str) -> APCurve:
    """AP over IoU thresholds of one of the model's rankings."""
    ranking = model.rankings[name]
    return APCurve(model.style(name), ranking.iou_thresholds, ranking.ap_by_iou(), ranking.ap())


def _figure(height: float = SIZE_INCHES[1]) -> tuple:
    figure = Figure(figsize=(SIZE_INCHES[0], height), layout='constrained')
    return figure, figure.add_subplot()


def _picture(model: ReportedModel, title: str, figure: Figure) -> Picture:
    return Picture(title, model.name, inline_svg(figure, f'{model.name}: {title}'))
