"""How much the class score should count in the mask score: ``s_cls^exponent * s_iou``.

Any ``s_cls^a * s_iou^b`` ranks as ``s_cls^(a/b) * s_iou`` does, so there is one exponent to choose:
1 is the paper's product (section 3.1), 0 the predicted IoU alone. On the images that it is then
judged by, a choice would flatter itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from .pairs import MaskScoringPairs

EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0)


def ap_by_exponent(
    pairs: MaskScoringPairs, exponents: Iterable[float] = EXPONENTS
) -> dict[float, float]:
    """Mask AP, as a fraction, of the masks ranked with each exponent; NaN without an object.

    Args:
        exponents: of the class score, 0 or more.

    Raises:
        ValueError: pairs without predicted IoU, or that do not say which mask meets which object;
            a negative exponent.
    """
    exponents = list(exponents)
    if pairs.model_iou is None:
        raise ValueError('these pairs have no predicted IoU: test a model with a MaskIoU head')
    if not all(exponent >= 0 for exponent in exponents):
        raise ValueError(f'exponents {exponents}: give numbers of 0 or more')
    return {
        exponent: pairs.rank(pairs.box_score**exponent * pairs.model_iou).ap()
        for exponent in exponents
    }


def best_exponent(ap: dict[float, float]) -> float:
    """That of the highest AP; of several, the one closest to the paper's, 1.

    Raises:
        ValueError: every AP is NaN.
    """
    ap = {exponent: value for exponent, value in ap.items() if not math.isnan(value)}
    if not ap:
        raise ValueError('there is no object in these images, so no exponent is the best')
    return max(ap, key=lambda exponent: (ap[exponent], -abs(exponent - 1)))
