"""Better scores for the masks of any model, learnt from its results file and the ground truth.

Class scores say what an object is. Boosted trees look at each detection's score, box and mask and
at how it stands among the others of its image, and predict two numbers:

- ``mask_score``, which ranks: the true IoU of the best detection of each object, 0 for all others;
- ``mask_iou``, which judges: the true IoU, calibrated on images that the trees had not seen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from lightgbm import Booster, Dataset, train
from lightgbm.basic import LightGBMError
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import GroupKFold

from ..files import read_json, write_json
from .calibration_fit import IoUCalibration, fit_iou_calibration, held_out_calibration
from .coco_schema import JSONSource
from .matches import Matches
from .reliability import expected_calibration_error, iou_error
from .rescorer_input import read_for_apply, read_for_fit
from .rescorer_table import detection_table, table_columns

FORMAT = 'msrcnn rescorer 1'
FOLDS = 5


class Rescorer(BaseEstimator):
    """Learns a ranking score and the IoU of masks from a results file.

    Args:
        features: further numeric keys of the results to learn from, such as ``mask_mean_prob``.
        trees: boosting rounds of each output.
        leaves: largest number of leaves of a tree.
        learning_rate: weight of each tree.
        resamples: how often the bootstrap draws images; 1000 of 500,000 detections take long.
        random_state: seed of the trees and of the bootstrap.

    Attributes:
        judged_: what cross-validation over the images says, once fitted. ``ap`` and ``ap_before``,
            the ``gain`` with its 95 % interval ``low`` to ``high``, ``images`` and ``detections``;
            of the predicted IoU ``mask_iou_mae``, ``mask_iou_pearson`` and ``mask_iou_ece``.
        categories_: those of the annotations.

    Example:
        >>> Rescorer().fit('gt.json', 'dt.json').apply('dt_new.json')  # doctest: +SKIP
    """

    def __init__(
        self,
        features: Sequence[str] = (),
        *,
        trees: int = 200,
        leaves: int = 15,
        learning_rate: float = 0.06,
        resamples: int = 1000,
        random_state: int = 0,
    ) -> None:
        self.features = features
        self.trees = trees
        self.leaves = leaves
        self.learning_rate = learning_rate
        self.resamples = resamples
        self.random_state = random_state

    def fit(self, annotations: JSONSource, results: JSONSource) -> Rescorer:
        """Learns from detections in annotated images, and judges itself on images held out.

        Detections that COCO's evaluation ignores, those on a crowd, are not learnt from.

        Args:
            annotations: COCO ground truth, a path or loaded JSON.
            results: COCO results with masks, best of images that the model was not trained on.

        Raises:
            ValueError: files that are no COCO files or do not fit each other; scores that are no
                probabilities; fewer images with detections than `FEWEST_IMAGES`; nothing to learn.
        """
        truth, found, matches = read_for_fit(annotations, results, self.features)
        table = detection_table(found, self.features)[matches.result_index]
        targets = {'mask_score': matches.ranking_scores('unique'), 'mask_iou': matches.true_iou}
        counted = ~matches.on_crowd
        held_out = {
            key: predict_held_out(self._train, table, target, matches.image, counted)
            for key, target in targets.items()
        }
        self.boosters_ = {
            key: self._train(table[counted], target[counted]) for key, target in targets.items()
        }
        self.calibration_ = fit_iou_calibration(
            held_out['mask_iou'][counted], matches.true_iou[counted]
        )
        self.categories_ = [
            {'id': identity, 'name': category['name']}
            for identity, category in zip(truth.category_ids, truth.dataset['categories'])
        ]
        self.judged_ = self._judge(matches, held_out)
        return self

    def apply(self, results: JSONSource, *, replace_score: bool = False) -> list[dict[str, Any]]:
        """Returns the results with ``mask_score`` and ``mask_iou``; all other keys stay.

        Args:
            results: COCO results with run-length encoded masks, a path or loaded JSON.
            replace_score: also writes ``mask_score`` to ``score``, for evaluators that read no
                other key.

        Raises:
            ValueError: results that are no COCO results, without a feature, or of other classes.
        """
        entries, found = read_for_apply(results, self.categories_, self.features)
        table = detection_table(found, self.features)
        del found
        scores = dict.fromkeys(self.boosters_, np.zeros(0))
        if len(table):
            predicted = {key: booster.predict(table) for key, booster in self.boosters_.items()}
            scores = {key: np.asarray(values, float) for key, values in predicted.items()}
        scores['mask_iou'] = self.calibration_(scores['mask_iou'])
        if replace_score:
            scores['score'] = scores['mask_score']
        for key, values in scores.items():
            for entry, value in zip(entries, values.tolist()):
                entry[key] = value
        return entries

    def save(self, path: str | os.PathLike) -> None:
        """Writes JSON that holds the trees in LightGBM's text format; no code."""
        calibration = {key: values.tolist() for key, values in asdict(self.calibration_).items()}
        content = {
            'format': FORMAT,
            'parameters': self.get_params(),
            'categories': self.categories_,
            'judged': self.judged_,
            'calibration': calibration,
            'trees': {key: booster.model_to_string() for key, booster in self.boosters_.items()},
        }
        write_json(path, content)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Rescorer:
        """Reads what `save` wrote; runs no code of the file.

        Raises:
            ValueError: another file, or one of another version.
        """
        content = read_json(path)
        if content.get('format') != FORMAT:
            raise ValueError(
                f'{path}: its format is {content.get("format")!r}, expected {FORMAT!r}: '
                'write it with `msrcnn rescore fit` of this version'
            )
        try:
            self = cls(**content['parameters'])
            self.categories_, self.judged_ = content['categories'], content['judged']
            self.calibration_ = IoUCalibration(
                **{key: np.array(values) for key, values in content['calibration'].items()}
            )
            self.boosters_ = {
                key: Booster(model_str=text) for key, text in content['trees'].items()
            }
            width = len(table_columns(self.features))
            if any(booster.num_feature() != width for booster in self.boosters_.values()):
                raise ValueError(f'its trees do not read {width} columns')
        except (LightGBMError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f'{path} is damaged ({error}): fit it again') from error
        return self

    def _train(self, table: NDArray, target: NDArray) -> Booster:
        return train_trees(
            table,
            target,
            table_columns(self.features),
            trees=self.trees,
            leaves=self.leaves,
            learning_rate=self.learning_rate,
            seed=self.random_state,
        )

    def _judge(self, matches: Matches, held_out: Mapping[str, NDArray]) -> dict[str, float]:
        gain = matches.bootstrap(
            held_out['mask_score'], 'score', resamples=self.resamples, seed=self.random_state
        )
        iou = held_out_calibration(held_out['mask_iou'], matches.true_iou, matches.image)
        error = iou_error(iou, matches.true_iou)
        return dict(
            ap_before=matches.rank('score').ap(),
            ap=matches.rank(held_out['mask_score']).ap(),
            **asdict(gain),
            detections=len(matches),
            mask_iou_mae=error.mae,
            mask_iou_pearson=error.pearson,
            mask_iou_ece=expected_calibration_error(iou, matches.true_iou),
        )


def train_trees(
    table: NDArray,
    target: NDArray,
    names: Sequence[str],
    *,
    trees: int = 200,
    leaves: int = 15,
    learning_rate: float = 0.06,
    seed: int = 0,
) -> Booster:
    """Fits boosted trees whose sigmoid estimates the target, by cross-entropy.

    Args:
        table: (N, F) numbers.
        target: (N,) in [0, 1].
        names: (F,) of the columns; ``category`` is split into sets of categories, and LightGBM
            splits off none that fewer than 100 detections have.
    """
    categorical = [place for place, name in enumerate(names) if name == 'category']
    parameters = dict(
        objective='cross_entropy',
        num_leaves=leaves,
        learning_rate=learning_rate,
        lambda_l2=1.0,
        seed=seed,
        deterministic=True,
        force_row_wise=True,
        # Threads of a busy machine wait for each other at every split: sixty times slower.
        num_threads=1,
        verbose=-1,
    )
    data = Dataset(table, target, categorical_feature=categorical, params={'verbose': -1})
    return train(parameters, data, num_boost_round=trees)


def predict_held_out(
    fit: Callable[[NDArray, NDArray], Booster],
    table: NDArray,
    target: NDArray,
    image: NDArray,
    counted: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Predicts the target of each detection, (N,), by trees that had not seen its image.

    Args:
        fit: makes trees of a table and its target.
        image: (N,) the image of each detection.
        counted: (N,) which detections are learnt from.
    """
    predicted = np.empty(len(table))
    for rest, fold in GroupKFold(FOLDS).split(table, groups=image):
        seen = rest[counted[rest]]
        predicted[fold] = fit(table[seen], target[seen]).predict(table[fold])
    return predicted
