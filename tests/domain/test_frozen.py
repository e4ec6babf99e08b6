"""Copies of frozen values: equal to what `dataclasses.replace` makes, as frozen, and of the same fields."""

import dataclasses

import pytest

from gatectl.domain.books import OpenVend, Payment, Stay
from gatectl.domain.frozen import replace
from gatectl.domain.lane import Lane
from gatectl.domain.passage import NO_TRACK, Track


def test_a_copy_is_what_the_library_would_make() -> None:
    """The original stays as it was, the copy differs in what was asked for alone, and hashes and shows the same."""
    copied, made = replace(NO_TRACK, left_a=2, blind=True), dataclasses.replace(NO_TRACK, left_a=2, blind=True)

    assert made == copied
    assert hash(made) == hash(copied)
    assert repr(made) == repr(copied)
    assert Track() == NO_TRACK


def test_a_copy_of_a_copy_is_frozen_too() -> None:
    """Nothing about a copy is easier to change."""
    copied = replace(replace(NO_TRACK, a=True), b=True)

    with pytest.raises(dataclasses.FrozenInstanceError):
        copied.a = False  # type: ignore[misc]  # the mistake is the point


def test_a_name_that_is_no_field_is_a_defect() -> None:
    """A slip that no type checker saw would be a field of its own, and the lane would go on without the change."""
    with pytest.raises(AssertionError, match=r"Track has no \['left'\]"):
        replace(NO_TRACK, left=1)  # type: ignore[call-arg]  # the mistake is the point


@pytest.mark.parametrize("cls", [Lane, Track, Stay, OpenVend, Payment])
def test_what_is_copied_so_is_all_in_its_dictionary(cls: type) -> None:
    """Slots or a check after the making would be passed over."""
    assert not hasattr(cls, "__slots__")
    assert not hasattr(cls, "__post_init__")
