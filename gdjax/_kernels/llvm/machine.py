"""Functions in LLVM's language: integers with Python's operators, variables, loops and states."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from llvmlite import ir

from gdjax._kernels.call import ALIGNED

Value: TypeAlias = Any  # llvmlite types few of the values that its builders return
State = Callable[[], None]

I1, I32, I64 = (ir.IntType(n) for n in (1, 32, 64))
WORDS = I64.as_pointer()
VOID = ir.VoidType()


def _operator(name: str, *relation: str) -> Callable[["Integer", Value], "Integer"]:
    def write(x: "Integer", y: Value) -> "Integer":
        other = x.type(y) if isinstance(y, int) else y
        return Integer(x.b, getattr(x.b, name)(*relation, x, other))

    return write


class Integer(ir.Value):
    """An integer in a function being written: its operators write instructions.

    Comparisons are signed, ``//``, ``%`` and ``>>`` are not; what is compared gives one bit.
    """

    def __init__(self, b: ir.IRBuilder, value: Value) -> None:
        self.b, self.value = b, value

    def __getattr__(self, name: str) -> Value:
        return getattr(self.value, name)

    __add__, __sub__, __mul__ = map(_operator, ("add", "sub", "mul"))
    __floordiv__, __mod__ = map(_operator, ("udiv", "urem"))
    __and__, __or__, __xor__ = map(_operator, ("and_", "or_", "xor"))
    __lshift__, __rshift__ = map(_operator, ("shl", "lshr"))
    __lt__, __le__, __ge__ = (_operator("icmp_signed", sign) for sign in ("<", "<=", ">="))
    equals, differs = (_operator("icmp_signed", sign) for sign in ("==", "!="))

    def __invert__(self) -> "Integer":
        return self ^ -1

    def select(self, yes: Value, no: Value) -> "Integer":
        """One integer where this bit is set, else the other."""
        return Integer(self.b, self.b.select(self, yes, no))

    def ones(self) -> "Integer":
        """How many bits are set."""
        return Integer(self.b, self.b.ctpop(self))

    def lowest(self) -> "Integer":
        """The place of the first bit that is set."""
        return Integer(self.b, self.b.cttz(self, I1(1)))

    def rest(self) -> "Integer":
        """The bits but for the first that is set."""
        return self & (self - 1)


class Variable:
    """An integer that lasts from state to state, read and assigned to as an attribute."""

    def __get__(self, machine: "Machine", owner: type["Machine"] | None = None) -> Integer:
        return machine.integer(machine.b.load(machine.variables[self]))

    def __set__(self, machine: "Machine", value: Integer) -> None:
        if self not in machine.variables:
            machine.variables[self] = machine.slot(I64)
        machine.b.store(value, machine.variables[self])


class Machine:
    """Writes functions, one after another, as machines of states.

    A state is a method that writes one basic block and ends by saying which state comes next.

    Attributes:
        module: what is written.
        entry: a builder in the function being written, whose entry block takes its memory.
        b: a builder where that function goes on.
        variables: the memory of its variables.
    """

    def __init__(self) -> None:
        self.module = ir.Module(name="gdjax")

    def begin_function(
        self, name: str, result: ir.Type, kinds: Sequence[ir.Type], *attributes: str
    ) -> Sequence[Value]:
        """A new function, internal where it has attributes: its arguments."""
        function = ir.Function(self.module, ir.FunctionType(result, kinds), name)
        if attributes:
            function.linkage = "internal"
        function.attributes.update(attributes)
        self.entry = self.b = ir.IRBuilder(function.append_basic_block("entry"))
        self.variables: dict[Variable, Value] = {}
        body = self.b.append_basic_block("body")
        self.b.branch(body)
        self.b.position_at_end(body)
        return [self.integer(a) if isinstance(a.type, ir.IntType) else a for a in function.args]

    def declare(self, name: str, result: ir.Type, kinds: Sequence[ir.Type]) -> Value:
        """A function from elsewhere."""
        known = self.module.globals.get(name)
        return known or ir.Function(self.module, ir.FunctionType(result, kinds), name)

    def write_states(self, *states: State) -> None:
        """Write states, and go to the first of them."""
        self._blocks = {state: self.b.append_basic_block(state.__name__) for state in states}
        self.goto(states[0])
        for state, block in self._blocks.items():
            self.b.position_at_end(block)
            state()

    def goto(self, state: State) -> None:
        """End a state: this one is next."""
        self.b.branch(self._blocks[state])

    def branch(self, condition: Integer, yes: State, no: State) -> None:
        """End a state: one of two is next."""
        self.b.cbranch(condition, self._blocks[yes], self._blocks[no])

    def integer(self, value: Value) -> Integer:
        """An integer that can be computed with."""
        return Integer(self.b, value)

    def word(self, table: Value, i: Value) -> Integer:
        """A word of a table."""
        return self.integer(self.b.load(self.b.gep(table, [i], inbounds=True)))

    def pointer(self, address: Integer, kind: ir.Type) -> Value:
        """The memory of a value at an address."""
        return self.b.inttoptr(address, kind.as_pointer())

    def slot(self, kind: ir.Type) -> Value:
        """Memory for a value, made at the function's entry."""
        with self.entry.goto_entry_block():
            slot: Value = self.entry.alloca(kind)
        slot.align = ALIGNED
        return slot

    @contextlib.contextmanager
    def _loop(
        self, b: ir.IRBuilder, start: Value,
        goes_on: Callable[[Integer], Integer], following: Callable[[Integer], Integer],
    ) -> Iterator[Integer]:  # fmt: skip
        slot = self.slot(I64)
        b.store(start, slot)
        head, body, after = map(b.append_basic_block, ("head", "body", "after"))
        b.branch(head)
        b.position_at_end(head)
        now = Integer(b, b.load(slot))
        b.cbranch(goes_on(now), body, after)
        b.position_at_end(body)
        yield now
        b.store(following(now), slot)
        b.branch(head)
        b.position_at_end(after)

    def times(self, b: ir.IRBuilder, count: Value) -> contextlib.AbstractContextManager[Integer]:
        """A loop that runs so many times, perhaps never; gives its counter."""
        return self._loop(b, I64(0), lambda i: i < count, lambda i: i + 1)

    @contextlib.contextmanager
    def each_of(self, b: ir.IRBuilder, bits: Value) -> Iterator[Integer]:
        """A loop over the lanes whose bits, of 64, are set."""
        with self._loop(b, bits, lambda left: left.differs(0), Integer.rest) as left:
            yield left.lowest()
