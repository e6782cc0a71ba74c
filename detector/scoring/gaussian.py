"""What is usual: a Gaussian over benign features, and how far from it a profile lies.

There are about as many features as images, so the covariance is shrunk (Ledoit and Wolf, J. Multivariate Analysis
2004), and beyond its largest directions it is taken to be the same in all others (the probabilistic principal
components of Tipping and Bishop, J. Royal Statistical Society 1999): what is left of a profile outside those directions
counts by its length alone. So the graph stays small however many features there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import helper, numpy_helper
from scipy.linalg import eigh
from sklearn.covariance import ledoit_wolf_shrinkage
from threadpoolctl import threadpool_limits

from detector.errors import CalibrationError
from detector.scoring.fitted import float_constants

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto, TensorProto

    from detector.classifiers.base import Float32Array

MIN_IMAGES: Final = 20
MOST_DIRECTIONS: Final = 128
_LEAST_VARIANCE = 1e-9
_ROUNDING = 1e-5  # of a feature's size: it does not vary where it varies by less
CONSTANTS: Final = ("mean", "inverse_scale", "directions", "directions_back", "weights", "rest_weight")
"""Names of the graph's constants, in the order of `Gaussian`'s fields but for the transposed copy of `directions`."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A Gaussian over features.

    Args:
        mean: float64 (features,).
        inverse_scale: float64 (features,): 1 / standard deviation; 1 for a feature that does not vary.
        directions: float64 (features, directions): orthonormal, of standardised features, the largest variance first.
        weights: float64 (directions,): 1 / (standard deviation along each * sqrt(2)).
        rest_weight: The same for all other directions.
    """

    mean: NDArray[np.float64]
    inverse_scale: NDArray[np.float64]
    directions: NDArray[np.float64]
    weights: NDArray[np.float64]
    rest_weight: float

    def distances(self, features: Float32Array) -> NDArray[np.float64]:
        """float64 (N,): half the squared Mahalanobis distance of features (N, features), in nats."""
        standardised = (features - self.mean) * self.inverse_scale
        along = standardised @ self.directions
        rest = (standardised - along @ self.directions.T) * self.rest_weight
        found: NDArray[np.float64] = np.square(along * self.weights).sum(axis=1) + np.square(rest).sum(axis=1)
        return found

    def nodes(self, features: str, output: str) -> tuple[list[NodeProto], list[TensorProto]]:
        """`distances` as nodes of a graph, ``features (N, F) -> output (N, 1)``, and their constants."""
        values = (self.mean, self.inverse_scale, self.directions, self.directions.T, self.weights, self.rest_weight)
        constants = float_constants(CONSTANTS, values)
        steps = (
            ("Sub", (features, "mean"), "centred"),
            ("Mul", ("centred", "inverse_scale"), "standardised"),
            ("MatMul", ("standardised", "directions"), "along"),
            ("MatMul", ("along", "directions_back"), "explained"),
            ("Sub", ("standardised", "explained"), "unexplained"),
            ("Mul", ("along", "weights"), "weighted_along"),
            ("Mul", ("unexplained", "rest_weight"), "weighted_rest"),
        )
        nodes = [helper.make_node(kind, inputs, [name]) for kind, inputs, name in steps]
        nodes.append(helper.make_node("Concat", ["weighted_along", "weighted_rest"], ["weighted"], axis=1))
        # A sum whose axes are an input reads alike in every opset that a classifier's graph may bring.
        nodes.append(helper.make_node("Mul", ["weighted", "weighted"], ["squares"]))
        nodes.append(helper.make_node("ReduceSum", ["squares", "last_axis"], [output], keepdims=1))
        constants.append(numpy_helper.from_array(np.array([1], np.int64), "last_axis"))
        return nodes, constants


def fit_gaussian(benign: Float32Array) -> Gaussian:
    """Fit to benign features.

    Args:
        benign: float32 (N, features), N >= 20.

    Raises:
        CalibrationError: Too few images.
    """
    if len(benign) < MIN_IMAGES:
        raise CalibrationError(f"the scorer needs at least {MIN_IMAGES} images to fit, not {len(benign)}")
    return _fitted(benign)


def usual_scale(benign: Float32Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and 1 / standard deviation of each benign feature, float64 (features,); 1 for one that does not vary.

    Args:
        benign: float32 (N, features), N >= 1.
    """
    exact = benign.astype(np.float64)
    mean, deviation = exact.mean(axis=0), exact.std(axis=0)
    varies = deviation > _ROUNDING * np.maximum(np.abs(mean), 1)
    return mean, np.divide(1, deviation, out=np.ones_like(deviation), where=varies)


def _fitted(benign: Float32Array) -> Gaussian:
    mean, inverse_scale = usual_scale(benign)
    standardised = (benign - mean) * inverse_scale  # in double precision, as the mean
    shrinkage = float(ledoit_wolf_shrinkage(standardised, assume_centered=True))
    total = np.square(standardised).sum() / len(benign)
    kept = min(MOST_DIRECTIONS, len(benign) - 1, standardised.shape[1])  # centred images span one direction less
    found, directions = _largest(standardised, kept)
    variances = (1 - shrinkage) * found + shrinkage * total / standardised.shape[1]
    others = standardised.shape[1] - kept
    rest_weight = float(_weight((total - variances.sum()) / others)) if others else 0.0
    return Gaussian(mean, inverse_scale, directions, _weight(variances), rest_weight)


def _largest(standardised: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest variances (count,) and their directions (features, count), by whichever side is shorter."""
    images, features = standardised.shape
    wide = features > images
    square = standardised @ standardised.T if wide else standardised.T @ standardised
    # One thread: on a busy machine, several wait for each other a hundred times longer than they work.
    with threadpool_limits(1):
        values, vectors = eigh(square, subset_by_index=[len(square) - count, len(square) - 1])
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    if wide:
        vectors = standardised.T @ vectors
        vectors /= np.maximum(np.linalg.norm(vectors, axis=0), _LEAST_VARIANCE)
    return values / images, vectors


def _weight(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (standard deviation * sqrt(2))."""
    return 1 / np.sqrt(2 * np.maximum(variance, _LEAST_VARIANCE))


def usual_distances(benign: Float32Array, *, folds: int = 5, seed: int = 0) -> NDArray[np.float64]:
    """float64 (N,): the distance of each benign image from a Gaussian fitted without it; N >= `folds`.

    Args:
        benign: float32 (N, features).
        folds: Parts that are left out in turn.
        seed: Of the parts.
    """
    parts = np.array_split(np.random.default_rng(seed).permutation(len(benign)), folds)
    found = np.empty(len(benign))
    for part in parts:
        found[part] = _fitted(np.delete(benign, part, axis=0)).distances(benign[part])
    return found
