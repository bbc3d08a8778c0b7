"""The machine's arithmetic peak, measured, and how many operations a kernel needs, counted from its expressions."""

from __future__ import annotations

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import sympy as sp

from benchmarks.contender import THREADS
from benchmarks.problems import Problem
from toymesa.kernels import tableaus

CHAINS = 12  # independent accumulators: latency times throughput of fused multiply-adds, and a few more
FUNCTION = 30  # a transcendental function counts as a polynomial of degree 13 with its range reduction


def _loop(width: int) -> str:
    """LLVM code of ``double peak(i64)``: that many rounds of fused multiply-adds on vectors in registers."""
    v = f"<{width} x double>"
    constant = lambda c: f"<{', '.join([f'double {c}'] * width)}>"  # noqa: E731
    chains = range(CHAINS)
    start = [f"  %a{k} = phi {v} [ {constant(f'1.{k:02d}')}, %entry ], [ %b{k}, %loop ]" for k in chains]
    step = [
        f"  %b{k} = call {v} @llvm.fma.v{width}f64({v} %a{k}, {v} {constant('0.999')}, {v} {constant('0.001')})"
        for k in chains
    ]
    total = [f"  %s0 = fadd {v} %b0, %b1"]
    total += [f"  %s{k} = fadd {v} %s{k - 1}, %b{k + 1}" for k in range(1, CHAINS - 1)]
    return "\n".join(
        [f"declare {v} @llvm.fma.v{width}f64({v}, {v}, {v})", "define double @peak(i64 %n) {", "entry:", "  br label %loop",
         "loop:", "  %i = phi i64 [ 0, %entry ], [ %j, %loop ]", *start, *step, "  %j = add i64 %i, 1",
         "  %more = icmp slt i64 %j, %n", "  br i1 %more, label %loop, label %end", "end:", *total,
         f"  %r = extractelement {v} %s{CHAINS - 2}, i32 0", "  ret double %r", "}"]
    )  # fmt: skip


def measured() -> float:
    """Floating-point operations a second of all threads together, the best of several runs; a fused one counts twice."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    width = 8 if features.get("avx512f") else 4 if features.get("avx2") else 2
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3)
    module = llvm.parse_assembly(_loop(width))
    module.verify()
    with llvm.create_mcjit_compiler(module, machine) as engine:
        engine.finalize_object()
        run = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(engine.get_function_address("peak"))
        rounds, best = 1_000_000, 0.0
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in range(60):  # short runs: one of them is undisturbed
                begun = time.perf_counter()
                list(pool.map(run, [rounds] * THREADS))
                best = max(best, 2.0 * width * CHAINS * rounds * THREADS / (time.perf_counter() - begun))
    return best


def operations(exprs: list[Any]) -> int:
    """Additions, multiplications and divisions of expressions whose common parts are computed once."""
    parts, results = sp.cse(exprs)
    return sum(_operations(e) for e in [*(e for _, e in parts), *results])


def _operations(expr: Any) -> int:
    below = sum(_operations(a) for a in expr.args)
    if isinstance(expr, sp.Add | sp.Mul):
        signs = sum(1 for a in expr.args if a == -1)  # a sign is part of an addition
        return int(below + len(expr.args) - 1 - signs)
    if isinstance(expr, sp.Pow):
        power = expr.exp
        return int(below - _operations(power) + (max(abs(int(power)) - 1, 1) if power.is_Integer else FUNCTION))
    return int(below + (FUNCTION if isinstance(expr, sp.Function) else 0))


def step_operations(problem: Problem) -> dict[str, float]:
    """Operations of one step by method: rates, stage sums, linear algebra, error norm; without step-size control."""
    n, flow = problem.n, list(problem.model.flow.values())
    rates = operations(flow)
    jacobian = operations([sp.diff(e, s) for e in flow for s in problem.model.states])

    def entries(*arrays: Any) -> int:
        return int(sum(np.count_nonzero(a) for a in arrays))

    norm = 6 * n
    sums = {
        "tsit5": entries(tableaus.TSIT5_A, tableaus.TSIT5_E),
        "dop853": entries(tableaus.DOP853_A[:13], tableaus.DOP853_E5, tableaus.DOP853_E3),
        "rodas5p": entries(tableaus.RODAS5P_A, tableaus.RODAS5P_B),
    }
    algebra = 2 * n**3 / 3 + 8 * 2 * n**2
    return {
        "tsit5": 6 * rates + 2 * n * sums["tsit5"] + norm,
        "dop853": 12 * rates + 2 * n * sums["dop853"] + norm,
        "rodas5p": 8 * rates + jacobian + algebra + 2 * n * sums["rodas5p"] + norm,
    }
