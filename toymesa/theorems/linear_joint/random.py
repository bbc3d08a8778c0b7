"""Many optimizers with random couplings: May's bound, and its fluctuation at finite N (linear joint flow 10.3).

J = -1 + sigma X; X has entries of variance 1, of which a share (the connectance) is not zero, and X_ij and X_ji have
the correlation rho. Limits of random matrices are measured here, not proved.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from toymesa.errors import ArgumentError, DomainError
from toymesa.theorems.arguments import Array, as_given, count, nonnegative, one_count, real, scalar, vectorized

# mean and standard deviation of the largest eigenvalue of a real symmetric random matrix, in units of N^(-1/6) above
# 2 sqrt(N) (Tracy and Widom 1996, "On orthogonal and symplectic matrix ensembles"; moments as tabulated there)
TRACY_WIDOM = (-1.2065, 1.2680)
_LARGEST = 10_000  # rows of a matrix that is drawn; its eigenvalues take minutes then


@vectorized()
def limit_edge(size: ArrayLike, *, correlation: ArrayLike = 0.0, connectance: ArrayLike = 1.0) -> Array:
    r"""Where the spectrum of X ends on the right as N grows, :math:`\sqrt{N c}\,(1+\rho)`.

    size : N >= 1. correlation : rho in [-1, 1], of the entries that are not zero. connectance : c in [0, 1]. All
    broadcast. A limit (Sommers et al. 1988; Allesina and Tang 2012 with c): at finite N the rightmost eigenvalue
    fluctuates around it by about sqrt(ln N)/2 at most, by N^(-1/6) for rho = 1.
    """
    n, rho, c = np.broadcast_arrays(
        count("size", size, 1), real("correlation", correlation, -1.0, 1.0), real("connectance", connectance, 0.0, 1.0)
    )
    return as_given(np.sqrt(n * c) * (1.0 + rho))


@vectorized()
def critical_spread(size: ArrayLike, *, correlation: ArrayLike = 0.0, connectance: ArrayLike = 1.0) -> Array:
    r"""May's bound: the spread of couplings above which J = -1 + sigma X is unstable, :math:`1/(\sqrt{Nc}(1+\rho))`.

    Arguments as in :func:`limit_edge`; inf where the spectrum of X has no extent. The instability is a saddle for
    rho > 0 and mostly a spiral for rho < 0, where the spectrum is tall. A limit as N grows (May 1972).
    """
    with np.errstate(divide="ignore"):
        return as_given(
            np.asarray(1.0 / np.asarray(limit_edge(size, correlation=correlation, connectance=connectance)))
        )


@vectorized()
def random_couplings(size: int, *, correlation: float = 0.0, connectance: float = 1.0, rng: Any = None) -> Array:
    """One X of N x N: normal entries of variance 1, corr(X_ij, X_ji) = rho; pairs are kept with probability c.

    size : N, 1 to 10000. correlation : rho in [-1, 1]. connectance : c in [0, 1]. rng : a seed or a Generator.
    """
    n = one_count("size", size, 1, _LARGEST)
    rho, kept = scalar("correlation", correlation, -1.0, 1.0), scalar("connectance", connectance, 0.0, 1.0)
    generator = _generator(rng)
    first, second = generator.standard_normal((2, n, n))
    # X_ij and X_ji are the sum and the difference of two independent numbers
    together, apart = np.triu(first, 1) * np.sqrt((1.0 + rho) / 2.0), np.triu(second, 1) * np.sqrt((1.0 - rho) / 2.0)
    out = (together + together.T) + (apart - apart.T) + np.diag(np.diag(first))
    if kept < 1.0:
        mask = np.triu(generator.random((n, n)) < kept)
        out = out * (mask | mask.T)
    return out


@vectorized()
def rightmost(
    size: int, *, correlation: float = 0.0, connectance: float = 1.0, samples: int = 50, rng: Any = None
) -> Array:
    """The largest real part of the eigenvalues of X, for a number of random X; sorted, shape (samples,).

    Arguments as in :func:`random_couplings`. Compare with :func:`limit_edge`. Numerical; costs samples times N^3.
    """
    number, rho = one_count("samples", samples, 1), scalar("correlation", correlation, -1.0, 1.0)
    generator = _generator(rng)
    values = np.linalg.eigvalsh if rho == 1.0 else np.linalg.eigvals
    drawn = (
        random_couplings(size, correlation=correlation, connectance=connectance, rng=generator) for _ in range(number)
    )
    return np.sort(np.array([values(x).real.max() for x in drawn]))


@vectorized()
def stable_share(
    spread: ArrayLike,
    size: int,
    *,
    correlation: float = 0.0,
    connectance: float = 1.0,
    samples: int = 50,
    rng: Any = None,
) -> Array:
    """The share of random J = -1 + sigma X that are stable, against :func:`critical_spread`.

    spread : sigma >= 0, any shape; all values are judged on the same matrices. Other arguments as in
    :func:`rightmost`. Numerical, with the standard error sqrt(p(1-p)/samples).
    """
    sigma = nonnegative("spread", spread)
    edges = rightmost(size, correlation=correlation, connectance=connectance, samples=samples, rng=rng)
    return as_given(np.asarray((sigma[..., None] * edges < 1.0).mean(axis=-1)))


def _generator(rng: Any) -> np.random.Generator:
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is not None and (isinstance(rng, bool) or not isinstance(rng, int | np.integer)):
        raise ArgumentError(f"rng must be a Generator or a non-negative whole number; got {rng!r}")
    if rng is not None and rng < 0:
        raise DomainError(f"rng must be a non-negative seed; got {rng}")
    return np.random.default_rng(rng)
