"""The arrays of signatures are checked while tests run."""
import pytest
import torch
from jaxtyping import Float, TypeCheckError, jaxtyped
from shapes import check_after
from torch import Tensor

from mfr.similarity import cosine

checked = jaxtyped(typechecker=check_after)


@checked
def product(
    A: Float[Tensor, "f d"],
    B: Float[Tensor, "g d"],
    path: str = "",
) -> tuple[Float[Tensor, "f g"], int]:
    if A.ndim != 2: raise ValueError("A: expected a matrix")
    return (A @ B.mT if path is not None else B @ A.mT), 1


def test_what_fits_passes():
    assert product(torch.ones(2, 3), torch.ones(4, 3))[0].shape == (2, 4)


def test_another_shape_is_found():
    with pytest.raises(TypeCheckError, match="return value"): product(torch.ones(2, 3), torch.ones(4, 3), path=None)


def test_another_dtype_is_found():
    A, B = torch.ones(2, 3).long(), torch.ones(4, 3).long()
    with pytest.raises(TypeCheckError): product(A, B)


def test_what_is_no_array_is_left_to_pyright():
    assert product(torch.ones(2, 3), torch.ones(4, 3), path=7)[0].shape == (2, 4)


def test_what_a_function_refuses_it_refuses_in_its_own_words():
    with pytest.raises(ValueError, match="A: expected a matrix"): product(torch.ones(2), torch.ones(4, 3))


def test_the_package_is_checked():
    assert "jaxtyping" in cosine.__code__.co_filename
