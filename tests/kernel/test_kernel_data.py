"""Classes that share their comparison, hash and text are like those attrs writes them for."""

from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from msp_core import v1
from msp_core.data import Data


@attrs.frozen
class Written:
    """Its methods are written by attrs."""

    name: Any
    number: Any = 0


@attrs.frozen(eq=False, repr=False)
class Shared(Data):
    """Its methods are the shared ones."""

    name: Any
    number: Any = 0


_VALUES = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.text(max_size=2))


@given(_VALUES, _VALUES, _VALUES, _VALUES)
def test_it_is_as_attrs_writes_it(a, b, c, d):
    """Equal where attrs says so, with one hash then, and the same text."""
    one, other = Shared(a, b), Shared(c, d)
    assert (one == other) == (Written(a, b) == Written(c, d))
    assert one != other or hash(one) == hash(other)
    assert repr(one) == repr(Written(a, b)).replace("Written", "Shared")


def test_another_class_is_not_equal():
    """Classes are compared too, and what is no such class is left to decide for itself."""
    assert Shared(1) != Written(1)
    assert Shared(1) != 1
    assert len({Shared(1), Shared(1), Written(1)}) == 2


def test_none_of_the_contract_lost_its_comparison():
    """A class that gave up its own methods has the shared ones."""
    for name in v1.__all__:
        one = getattr(v1, name)
        if isinstance(one, type) and attrs.has(one):
            context = name == "Context"  # one call, equal to itself alone
            assert context or one.__eq__ is not object.__eq__, name
