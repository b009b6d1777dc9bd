"""What went well had the shapes that its signature promised.

jaxtyping's import hook asks for a type checker and gives it two functions for each of ours: one with its parameters,
called before it, and one with its parameters and what it returned, called after. Only the second is checked, so that
input which a function refuses by itself is refused in its own words; and only what is an array, for the rest is
pyright's.
"""
from typing import Any, get_args

from beartype import beartype
from jaxtyping import AbstractArray


def has_shape(annotation: object) -> bool:
    "Is it an array of jaxtyping's, or made of such?"
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray): return True
    return any(map(has_shape, get_args(annotation)))


def check_after(f):
    "A type checker for jaxtyping that looks at arrays, when a call has come back."
    if f.__annotations__.get("return") is Any: return f  # it has but the parameters
    f.__annotations__ = {name: a for name, a in f.__annotations__.items() if has_shape(a)}
    return beartype(f) if f.__annotations__ else f
