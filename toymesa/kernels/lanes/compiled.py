"""How code compiled by numba calls a program: at its address, as if it were C's. To be imported before such code is."""

from __future__ import annotations

from typing import Any

import numba as nb
from llvmlite import ir
from numba.extending import intrinsic, overload

from toymesa.kernels.lanes.call import call
from toymesa.kernels.mend import mend_compiled

mend_compiled()  # before the first kernel is loaded


@intrinsic
def _at(typing: Any, program: Any, workspace: Any, constants: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        function = builder.inttoptr(arguments[0], ir.FunctionType(word, [word, word]).as_pointer())
        return builder.call(function, arguments[1:])

    return nb.int64(nb.int64, nb.int64, nb.int64), code


@overload(call, strict=False)  # it would have no annotations
def _call(program: Any, workspace: Any, constants: Any) -> Any:
    return lambda program, workspace, constants: _at(program, workspace, constants)
