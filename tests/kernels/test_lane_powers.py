"""Powers of vector programs: error in ulp, special values."""

import numpy as np
from lane_reference import INF, MANY, NAN, POWER_BOUND, TINY, evaluate, power_errors


def test_powers_stay_below_their_bound_over_the_whole_range():
    rng = np.random.default_rng(0)
    stretches = []
    for x in (
        rng.uniform(0.0, 3.0, MANY), rng.uniform(0.7, 1.42, MANY), np.exp2(rng.uniform(-1074, 1023.9, MANY)),
        1.0 + rng.choice([-1.0, 1.0], MANY) * np.exp2(rng.uniform(-52, -1, MANY)), np.nextafter(1.0, rng.choice([0.0, 2.0], 500)),
    ):  # fmt: skip
        x = x[(x > 0) & (x != 1)]
        stretches += [
            (x, rng.uniform(-5, 5, x.size)),
            (x, rng.choice([0.5, 1.5, 4 / 3, -0.25, 2.0, 3.0, -1.0], x.size)),
        ]
        stretches += [
            (x, rng.uniform(-745.2, 709.8, x.size) / np.log(x)),
            (-x, rng.integers(-9, 10, x.size).astype(float)),
        ]
    x, y = (np.concatenate(part) for part in zip(*stretches, strict=True))
    assert len(x) >= 20_000
    found = power_errors(x, y, evaluate("pow", x, y=y))
    at = int(np.argmax(found))
    assert found[at] <= POWER_BOUND, (found[at], x[at].hex(), y[at].hex())


def test_special_powers():
    """Exact and special results are those of the C library; lanes that need it do not change their neighbours."""
    special = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        2.0,
        -2.0,
        3.0,
        -3.0,
        4.0,
        0.5,
        0.25,
        1e300,
        TINY,
        -TINY,
        INF,
        -INF,
        NAN,
        2.0**40,
        -(2.0**53),
        2.0**70,
    ]
    x, y = (a.ravel() for a in np.meshgrid(special, special))
    z = evaluate("pow", x, y=y)
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    np.testing.assert_array_equal(np.isnan(z), np.isnan(expected))
    np.testing.assert_allclose(z, expected, rtol=3e-16)
    np.testing.assert_array_equal(np.signbit(z[~np.isnan(z)]), np.signbit(expected[~np.isnan(z)]))
    whole = (expected == np.floor(expected)) & ((np.abs(expected) < 2.0**53) | np.isinf(expected))
    assert np.count_nonzero(whole) > 200
    np.testing.assert_array_equal(z[whole], expected[whole])
    alone = np.array([evaluate("pow", np.full(8, a), y=b)[0] for a, b in zip(x, y, strict=True)])
    np.testing.assert_array_equal(z.view(np.int64), alone.view(np.int64))
    np.testing.assert_array_equal(evaluate("pow", x, 16, y=y).view(np.int64), alone.view(np.int64))
