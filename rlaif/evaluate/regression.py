"""Logistic and linear regression without intercept, with intervals from a bootstrap over clusters.

The logistic outcome may be anything in [0, 1] (fractional logit: Papke & Wooldridge 1996, Journal of Applied
Econometrics 11). Regressed are what length is worth to a judge, and how sure it is compared with how right.
"""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from rlaif.intervals import Array, Figure, tail

RESAMPLES = 1000
STEPS = 30
TOLERANCE = 1e-8
SINGULAR = 1e-10
LARGEST = 50.0
"""A coefficient beyond this is on its way to infinity: the outcome is separated, and there is no estimate."""


Fit = Callable[[Array, Array, Array], Array | None]
"""From x (n, k), y (n,) and weights (n,) to coefficients (k,), or None where there are none."""


def logistic(x: Array, y: Array, w: Array) -> Array | None:
    """Return the coefficients of y ~ sigmoid(x @ b), y in [0, 1], by Newton's method."""
    b = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ b, -500, 500)))
        slope = x.T @ (w * (y - p))
        curve = (x * (w * p * (1 - p))[:, None]).T @ x
        step = _solved(curve, slope)
        if step is None:
            return None
        b = b + np.clip(step, -5, 5)
        if np.abs(b).max() > LARGEST:
            return None
        if np.abs(step).max() < TOLERANCE:
            return b
    return None


def linear(x: Array, y: Array, w: Array) -> Array | None:
    """Return the coefficients of y ~ x @ b by least squares."""
    return _solved((x * w[:, None]).T @ x, x.T @ (w * y))


def _solved(a: Array, b: Array) -> Array | None:
    """Return the solution of a @ x = b; None where a is singular or as good as that."""
    scale = float(np.prod(np.diag(a)))  # the determinant's largest possible size, a being positive definite
    if not np.isfinite(a).all() or not scale or np.linalg.det(a) <= SINGULAR * scale:
        return None
    return np.asarray(np.linalg.solve(a, b), dtype=float)


def coefficient(fit: Fit, x: Array, y: Array, clusters: Sequence[Hashable], seed: int = 0) -> Figure:
    """Return the first coefficient with its 95 % interval; whole clusters are drawn, quantiles as in `Bootstrap`."""
    found = fit(x, y, np.ones(len(y))) if len(y) else None
    names = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
    n = len(names)
    if found is None:
        return Figure(value=None, n=len(y), prompts=n)
    value = float(found[0])
    if n < 2:
        return Figure(value=value, n=len(y), prompts=n)
    places = np.array([names[cluster] for cluster in clusters])
    rng = np.random.default_rng(seed)
    again = (fit(x, y, rng.multinomial(n, np.full(n, 1 / n)).astype(float)[places]) for _ in range(RESAMPLES))
    drawn = [float(one[0]) for one in again if one is not None]
    low, high = np.quantile(drawn, [tail(n), 1 - tail(n)]) if drawn else (value, value)
    return Figure(value=value, low=float(low), high=float(high), n=len(y), prompts=n)
