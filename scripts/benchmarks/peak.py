"""The machine's arithmetic peak, measured."""

from __future__ import annotations

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.contender import THREADS

CHAINS = 12  # independent accumulators: latency times throughput of fused multiply-adds, and a few more


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
