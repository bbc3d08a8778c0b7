"""What elementary functions of vector programs are made of: polynomials, constants, and instructions of other processors."""

import ctypes
import math

import llvmlite.binding as llvm
import mpmath as mp
import numpy as np
import pytest
from lane_reference import BOUNDS, POWER_BOUND, SPECIAL, arguments, errors, evaluate, power_errors, source

from toymesa.kernels.lanes import polynomials
from toymesa.kernels.lanes.build import _ATTRIBUTES


def test_the_polynomials_are_as_close_as_they_say():
    def bound(coefficients, exact, weight, points):
        with mp.workdps(40):
            gaps = [(mp.polyval(coefficients[::-1], x) - exact(x)) * weight(x) for x in points]
            return float(mp.log(max(abs(g) for g in gaps), 2))

    r = [mp.mpf(x) for x in np.linspace(-0.347, 0.347, 400)]
    assert bound(polynomials.EXP, lambda r: (mp.exp(r) - 1 - r) / r**2, lambda r: r**2 / mp.exp(r), r) < -57.8
    z = [mp.mpf(x) ** 2 for x in np.linspace(1e-3, 0.1716, 200)]
    assert bound(polynomials.LOG, lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z, lambda z: z / 2, z) < -59.4
    z = [mp.mpf(x) ** 2 for x in np.linspace(1e-3, 0.7858, 200)]
    assert bound(polynomials.SIN, lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, lambda z: z, z) < -57.9
    cosine = bound(
        polynomials.COS, lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, lambda z: z**2 / mp.cos(mp.sqrt(z)), z
    )
    assert cosine < -63.9
    z = [mp.mpf(x) ** 2 for x in np.linspace(1e-3, 0.1716, 200)]
    tail = bound(
        polynomials.LOG_TAIL,
        lambda z: ((2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z - mp.mpf(2) / 3) / z,
        lambda z: z**2 / 2,
        z,
    )
    assert tail < -73.4
    z = [mp.mpf(x) ** 2 for x in np.linspace(1e-3, polynomials.TAN_PI_8, 200)]
    assert bound(polynomials.ATAN, lambda z: (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, lambda z: z, z) < -59.4
    z = [mp.mpf(x) ** 2 for x in np.linspace(1e-3, 0.5, 200)]
    assert bound(polynomials.ASIN, lambda z: (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, lambda z: z, z) < -59.7


def test_constants_in_parts():
    with mp.workdps(80):
        for parts, whole, places in (
            (polynomials.LN2, mp.log(2), 105),
            (polynomials.LN2_SHORT, mp.log(2), 94),
            (polynomials.HALF_PI, mp.pi / 2, 180),
            (polynomials.PI, mp.pi, 105),
            (polynomials.TWO_THIRDS, mp.mpf(2) / 3, 105),
        ):
            assert abs(mp.fsum(map(mp.mpf, parts)) - whole) < mp.mpf(2) ** -places
        assert float(1 / mp.log(2)) == polynomials.PER_LN2
        assert float(2 / mp.pi) == polynomials.PER_HALF_PI
    assert math.ldexp(polynomials.LN2_SHORT[0], 42).is_integer()
    assert math.ldexp(polynomials.HALF_PI[1], 76).is_integer()


@pytest.mark.skipif(not llvm.get_process_triple().startswith("x86_64"), reason="instructions of x86")
@pytest.mark.parametrize("processor", ["x86-64", "x86-64-v3"])
def test_older_processors_keep_the_bounds(processor):
    """128-bit vectors with products that are never fused into sums, and 256-bit vectors."""
    if processor == "x86-64-v3" and not llvm.get_host_cpu_features().get("fma"):
        pytest.skip("this processor has no fma")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly("\n".join([*older_sources(), _ATTRIBUTES]))
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(cpu=processor, jit=True, opt=3)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    for name in BOUNDS:
        call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(
            engine.get_function_address(f"{name}_8")
        )
        x = np.random.default_rng(0).choice(arguments(name), 2000)
        assert np.max(errors(name, x, evaluate(name, x, call=call))) <= BOUNDS[name], name
        x, expected = np.array(SPECIAL[name]).T
        np.testing.assert_array_equal(evaluate(name, x, call=call), expected)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(engine.get_function_address("pow_8"))
    x, y = np.random.default_rng(0).uniform([[0], [-30]], [[3], [30]], (2, 2000))
    assert np.max(power_errors(x, y, evaluate("pow", x, y=y, call=call))) <= POWER_BOUND


def older_sources():
    """The programs of all functions in one module, each declaration once."""
    lines = "\n".join(source(name, 8) for name in (*BOUNDS, "pow")).split("\n")
    declarations = {line for line in lines if line.startswith("declare")}
    return [*sorted(declarations), *(line for line in lines if not line.startswith("declare"))]
