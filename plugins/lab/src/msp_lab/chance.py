"""Numbers that depend on nothing but their keys, so that every part of the lab is repeatable."""

import uuid
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1


def mix(*keys: int) -> int:
    """Hash integers to 64 evenly spread bits.

    `random.Random(seed)` costs some 10 us per device and would have to be drawn in a fixed order;
    a hash can be asked for any single property of any device at any time.
    """
    state = 0x9E3779B97F4A7C15
    for key in keys:
        state = (state ^ (key & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        state ^= state >> 29
        state = state * 0x94D049BB133111EB & _MASK
        state ^= state >> 32
    return state


def unit(*keys: int) -> float:
    """Hash integers to a number in [0, 1)."""
    return mix(*keys) / (1 << 64)


# Fractional parts of square roots: multiples of each fill the unit interval evenly.
_STEPS = (0.41421356, 0.61803399, 0.73205081, 0.23606798, 0.64575131, 0.31662479, 0.60555128)


def even(seed: int, number: int, salt: int) -> float:
    """Return a number in [0, 1) that is spread evenly over consecutive `number`s.

    Chance leaves a small fleet without any case of something rare; this does not.
    """
    return (unit(seed, salt) + number * _STEPS[salt % len(_STEPS)]) % 1.0


def pick(items: tuple[T, ...], *keys: int) -> T:
    """Choose one item by hash."""
    return items[mix(*keys) % len(items)]


def between(low: int, high: int, *keys: int) -> int:
    """Choose a whole number from `low` to `high`, both included."""
    return low + mix(*keys) % (high - low + 1)


def uid(*keys: int) -> str:
    """Hash integers to a UUID (version 4 layout)."""
    return str(uuid.UUID(int=(mix(*keys, 1) << 64) | mix(*keys, 2), version=4))


def token(label: str, *keys: int) -> str:
    """Hash integers to 32 hexadecimal digits, marked with what they are for."""
    return f"{label}-{mix(*keys, 3):016x}{mix(*keys, 4):016x}"
