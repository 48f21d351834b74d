"""Two machine operations that Numba has no name for: fetching a cache line ahead, and copying bytes as one move.

Rule: each has a stand-in in plain Python, used where kernels are run uncompiled (NUMBA_DISABLE_JIT=1), which checks its
bounds. Callers check bounds in compiled code.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic  # type: ignore[untyped-decorator]
def _prefetch(_typing: Any, array: Any, at: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, args[0])
        address = builder.bitcast(builder.gep(view.data, [args[1]]), cgutils.voidptr_t)
        i32 = ir.IntType(32)
        function_type = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, i32, i32, i32])
        function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0i8")
        builder.call(function, [address, i32(1), i32(3), i32(1)])
        return context.get_dummy_value()

    return types.none(array, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _copy_bytes(_typing: Any, out: Any, at: Any, data: Any, start: Any, size: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = []
        for array, index in ((0, 1), (2, 3)):
            view = context.make_array(signature.args[array])(context, builder, args[array])
            places.append(builder.gep(view.data, [args[index]]))
        cgutils.raw_memcpy(builder, places[0], places[1], args[4], 1)
        return context.get_dummy_value()

    return types.none(out, types.int64, data, types.int64, types.int64), codegen


def _no_prefetch(array: Any, at: int) -> None:
    assert 0 <= at < array.size  # noqa: S101 (the stand-in is there to check)


def _plain_copy(out: Any, at: int, data: Any, start: int, size: int) -> None:
    assert 0 <= at <= at + size <= out.size  # noqa: S101 (as above)
    assert 0 <= start <= start + size <= data.size  # noqa: S101 (as above)
    out[at : at + size] = data[start : start + size]


prefetch = _no_prefetch if numba.config.DISABLE_JIT else _prefetch
"""prefetch(array, at): fetch the cache line of `array.flat[at]` (C order) for writing; changes nothing."""

copy_bytes = _plain_copy if numba.config.DISABLE_JIT else _copy_bytes
"""copy_bytes(out, at, data, start, size): `out[at:at + size] = data[start:start + size]`, (n,) uint8, as one memcpy.

A loop over bytes, and NumPy's slices in a kernel, take three times as long on the short texts of a cell.
"""
