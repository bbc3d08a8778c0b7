"""How code compiled by numba sees a program: as a function of two addresses."""

from __future__ import annotations

from typing import Any

import numba as nb
from numba.core.types.function_type import WrapperAddressProtocol

from toymesa.kernels.mend import mend_compiled

mend_compiled()  # before the first kernel is loaded
_SIGNATURE = nb.int64(nb.int64, nb.int64)
PROGRAM = nb.types.FunctionType(_SIGNATURE)


class Program(WrapperAddressProtocol):
    """A program at its address, by numba's protocol for functions that it did not compile."""

    _numba_type_ = PROGRAM  # so that it need not be found out on every call

    def __init__(self, program: Any) -> None:
        self._program = program

    def __wrapper_address__(self) -> int:
        return int(self._program.number)

    def signature(self) -> Any:
        """Its signature, as numba asks for it."""
        return _SIGNATURE
