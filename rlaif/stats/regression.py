"""Logistic and linear regression without intercept, with intervals over clusters.

The logistic outcome may be anything in [0, 1] (fractional logit: Papke & Wooldridge 1996, Journal of Applied
Econometrics 11). Used for the length bias of judges, and for their over- or underconfidence.

Shapes: x (n, k) regressors, y (n,) outcomes, w (r, n) one row of weights per regression; the result is (r, k), with a
row of NaN where a regression has no solution (collinear columns, or separated outcomes).
"""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt

from rlaif.stats.estimates import Array, Estimate, estimate_of
from rlaif.stats.jackknife import Weights

STEPS = 30
TOLERANCE = 1e-8
SINGULAR = 1e-10
LARGEST = 50.0
"""A coefficient beyond this diverges: the outcome is separated, and there is no estimate."""

Fit = Callable[[Array, Array, Array], Array]


def linear(x: Array, y: Array, w: Array) -> Array:
    """Return the coefficients of y ~ x @ b by least squares."""
    return _solved(_curves(x, w), (w * y) @ x)


def logistic(x: Array, y: Array, w: Array) -> Array:
    """Return the coefficients of y ~ sigmoid(x @ b), y in [0, 1], by Newton's method."""
    b = np.zeros((len(w), x.shape[1]))
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(b @ x.T, -500, 500)))
        step = _solved(_curves(x, w * p * (1 - p)), (w * (y - p)) @ x)
        b = b + np.clip(step, -5, 5)
        b[np.abs(b).max(axis=1) > LARGEST] = np.nan
        if not (np.abs(step[np.isfinite(b).all(axis=1)]) >= TOLERANCE).any():
            return b
    b[~(np.abs(step).max(axis=1) < TOLERANCE)] = np.nan
    return b


def _curves(x: Array, w: Array) -> Array:
    """Return x' diag(w) x for every row of w, (r, k, k)."""
    k = x.shape[1]
    products = (x[:, :, None] * x[:, None, :]).reshape(len(x), k * k)
    return np.asarray((w @ products).reshape(len(w), k, k), dtype=float)


def _solved(a: Array, b: Array) -> Array:
    """Return the solutions of a @ x = b, (r, k); NaN where a is singular or nearly so."""
    # The product of its diagonal is the largest determinant a matrix with no negative eigenvalue can have.
    largest = np.diagonal(a, axis1=1, axis2=2).prod(axis=1)
    sound = np.isfinite(a).all(axis=(1, 2)) & (largest > 0)
    sound[sound] = np.linalg.det(a[sound]) > SINGULAR * largest[sound]
    found = np.full(b.shape, np.nan)
    found[sound] = np.linalg.solve(a[sound], b[sound][:, :, None])[:, :, 0]
    return found


def coefficient(fit: Fit, x: Array, y: Array, clusters: Sequence[Hashable]) -> Estimate:
    """Return the first coefficient with its 95 % interval; whole clusters (prompts) are left out."""
    return coefficients(fit, x, y, clusters)[0]


def coefficients(fit: Fit, x: Array, y: Array, clusters: Sequence[Hashable]) -> tuple[Estimate, ...]:
    """Return all k coefficients, each with its 95 % interval; whole clusters (prompts) are left out.

    Without a cluster, the coefficients are those of one Newton step from the estimate: exact for the linear regression,
    CV3L of MacKinnon, Nielsen & Webb 2023 (Journal of Applied Econometrics 38) for the logistic one.
    """
    names = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
    n, k = len(names), x.shape[1]
    b = fit(x, y, np.ones((1, len(y))))[0] if n else np.full(k, np.nan)
    if not np.isfinite(b).all():
        return tuple(Estimate(value=None, n=len(y), prompts=n) for _ in range(k))
    places = np.array([names[cluster] for cluster in clusters])
    expected = 1 / (1 + np.exp(-np.clip(x @ b, -500, 500))) if fit is logistic else x @ b
    curve = expected * (1 - expected) if fit is logistic else np.ones(len(y))
    curves = _sums(curve[:, None, None] * x[:, :, None] * x[:, None, :], places, n)
    slopes = _sums(x * (y - expected)[:, None], places, n)
    whole = curves.sum(axis=0)
    left_out = b - _solved(whole - curves, slopes)
    weights = (x * curve[:, None] ** 0.5) @ _solved(np.stack([whole] * k), np.eye(k)).T
    return tuple(
        estimate_of(
            float(b[one]), left_out[:, one], Weights(*(_sums(w, places, n) for w in (of_one, of_one**2))), len(y)
        )
        for one, of_one in enumerate(weights.T)
    )


def _sums(values: Array, places: Sequence[int] | npt.NDArray[np.int64], n: int) -> Array:
    """Return the (n, …) sums of (values, …) by cluster."""
    sums = np.zeros((n, *values.shape[1:]))
    np.add.at(sums, places, values)
    return sums
