"""What the data classes on the way of every command have in common, written once.

attrs writes these methods anew for each class and compiles them when the class is made, which is half of what a class
costs at start. Such a class says `@frozen(eq=False, repr=False)` and derives from `Data`; it compares, hashes and
prints like any other.
"""

from typing import Any


class Data:
    """Compares, hashes and prints an attrs class by its fields."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in _values(self).items())
        return f"{type(self).__qualname__}({shown})"

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash((self.__class__, *_values(self).values()))


def _values(one: Any) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in one.__attrs_attrs__}
