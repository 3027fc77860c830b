"""Post-hoc calibration of the predicted IoU: a monotone map fitted to held-out detections.

Three families, all through scikit-learn, which is needed here alone. With ``u`` the predicted and
``t`` the true IoU of ``N`` detections:

- isotonic: the increasing step function with the least square error (Zadrozny and Elkan 2002);
- Platt: ``sigmoid(a u + b)`` (Platt 1999);
- Beta: ``sigmoid(a ln u - b ln(1 - u) + c)`` with a, b >= 0 (Kull et al. 2017).

The latter two are fitted to probabilities ``t`` in place of labels: a detection counts as ``t`` of
a hit and ``1 - t`` of a miss, so that the fit minimises the cross-entropy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .reliability import check_unit_interval, checked_vectors

# Where a curve is sampled: dense at both ends, where Beta's is steep.
GRID = np.sin(np.linspace(0, np.pi / 2, 257)) ** 2
# Smallest slope of the map: what a step of the isotonic one would merge stays apart.
MIN_SLOPE = 1e-3
# Beta's logarithms see u no closer to 0 and 1.
MARGIN = 1e-6
FOLDS = 5


@dataclass(frozen=True)
class IoUCalibration:
    """A map from predicted to calibrated IoU, linear between its ``n`` points.

    ``knots`` (n,) rise from 0 to 1; ``values`` (n,) lie in [0, 1] and rise by `MIN_SLOPE` at least.
    """

    knots: NDArray[np.float64]
    values: NDArray[np.float64]

    def __call__(self, predicted_iou: ArrayLike) -> NDArray[np.float64]:
        """Calibrated IoU (N,) of predicted IoU (N,), both in [0, 1]."""
        return np.interp(np.asarray(predicted_iou, float), self.knots, self.values)


def fit_iou_calibration(
    predicted_iou: ArrayLike, true_iou: ArrayLike, method: str = 'isotonic'
) -> IoUCalibration:
    """Fits the map of ``method`` and makes it strictly increasing.

    Args:
        predicted_iou, true_iou: (N,) in [0, 1], of detections the model was not trained on.
        method: 'isotonic', 'platt' or 'beta'.

    Raises:
        ValueError: vectors that do not fit each other; a predicted IoU that does not rise with the
            true one, which no increasing map can calibrate.
        ImportError: without scikit-learn.
    """
    if method not in METHODS:
        raise ValueError(f'method={method!r}; give one of {", ".join(METHODS)}')
    predicted, true = checked_vectors(predicted_iou, true_iou)
    check_unit_interval(predicted)
    check_unit_interval(true)
    if len(predicted) < 2:
        raise ValueError(f'{len(predicted)} detections; a calibration is fitted to 2 at least')
    with _explained_import():
        knots, values = METHODS[method](predicted, true)
    if values[0] >= values[-1]:
        raise ValueError(
            f'the predicted IoU of these {len(predicted)} detections does not rise with the true '
            'one, so no increasing map calibrates it: is the model trained, and are the pairs its '
            'own?'
        )
    return IoUCalibration(knots, (1 - MIN_SLOPE) * values + MIN_SLOPE * knots)


def held_out_calibration(
    predicted_iou: ArrayLike, true_iou: ArrayLike, image_id: ArrayLike, method: str = 'isotonic'
) -> NDArray[np.float64]:
    """Calibrated IoU (N,), each by a map that was fitted without the detections of its image.

    In `FOLDS` folds of images, (N,) ``image_id``, or fewer where there are fewer images; what the
    calibration achieves on images it has not seen.
    """
    predicted, true = checked_vectors(predicted_iou, true_iou)
    images = len(np.unique(image_id))
    if images < 2:
        raise ValueError(f'{images} images; to hold some out, 2 at least are needed')
    with _explained_import():
        from sklearn.model_selection import GroupKFold

    folds = GroupKFold(min(FOLDS, images)).split(predicted, groups=image_id)
    calibrated = np.empty(len(predicted))
    for rest, held_out in folds:
        fitted = fit_iou_calibration(predicted[rest], true[rest], method)
        calibrated[held_out] = fitted(predicted[held_out])
    return calibrated


@contextmanager
def _explained_import() -> Iterator[None]:
    """Says how to get scikit-learn where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f'a calibration is fitted by scikit-learn, which is not here ({error}): '
            "pip install 'scikit-learn>=1.2'"
        ) from error


def _isotonic(predicted: NDArray, true: NDArray) -> tuple[NDArray, NDArray]:
    from sklearn.isotonic import IsotonicRegression

    # A model predicts float32: what that cannot tell apart is one knot.
    model = IsotonicRegression(y_min=0, y_max=1).fit(predicted.astype(np.float32), true)
    knots, values = model.X_thresholds_.astype(float), model.y_thresholds_.astype(float)
    # Constant beyond the predictions it was fitted to.
    ends = np.setdiff1d([0.0, 1.0], knots)
    places = np.searchsorted(knots, ends)
    values = np.insert(values, places, np.interp(ends, knots, values))
    return np.insert(knots, places, ends), values


def _platt(predicted: NDArray, true: NDArray) -> tuple[NDArray, NDArray]:
    from scipy.special import expit

    weights, offset = _logistic(predicted[:, None], true)
    return GRID, expit(GRID * weights + offset)


def _beta(predicted: NDArray, true: NDArray) -> tuple[NDArray, NDArray]:
    from scipy.special import expit

    features = _beta_features(predicted)
    weights, offset = _logistic(features, true)
    rising = weights > 0
    if rising.any() and not rising.all():
        # As Kull et al.: what gets a negative weight is left out, and the other fitted alone.
        weights = np.zeros(2)
        weights[rising], offset = _logistic(features[:, rising], true)
    return GRID, expit(_beta_features(GRID) @ weights + offset)


def _beta_features(estimate: NDArray) -> NDArray:
    """ln u and -ln(1 - u), (N, 2)."""
    inner = np.clip(estimate, MARGIN, 1 - MARGIN)
    return np.stack([np.log(inner), -np.log1p(-inner)], axis=1)


def _logistic(features: NDArray, probability: NDArray) -> tuple[NDArray, float]:
    """Weights (F,) and offset of the logistic regression of ``probability`` (N,) on (N, F)."""
    from sklearn.linear_model import LogisticRegression

    hit = np.repeat([True, False], len(probability))
    model = LogisticRegression(C=np.inf, max_iter=1000)  # C: no penalty
    model.fit(
        np.concatenate([features, features]),
        hit,
        sample_weight=np.concatenate([probability, 1 - probability]),
    )
    return model.coef_[0], float(model.intercept_[0])


METHODS: dict[str, Callable] = dict(isotonic=_isotonic, platt=_platt, beta=_beta)
