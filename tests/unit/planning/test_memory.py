"""Amounts of memory as people type and read them."""

import numpy as np
import pytest

from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.planning.memory import format_bytes, parse_memory


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (1, 1),
        (1.9e9, 1_900_000_000),
        (np.int64(4096), 4096),
        ("1000", 1000),
        ("1000 B", 1000),
        ("512MB", 512_000_000),
        ("512mb", 512_000_000),
        ("2GiB", 2 * 1024**3),
        ("2gib", 2 * 1024**3),
        ("1.5 GB", 1_500_000_000),
        (" .5 TB ", 500_000_000_000),
        ("300M", 300 * 1024**2),
        ("4k", 4096),
        ("2G", 2 * 1024**3),
        ("1T", 1024**4),
    ],
)
def test_amounts_are_read_in_the_forms_that_people_type(text, expected):
    nbytes = parse_memory(text)
    assert nbytes == expected
    assert type(nbytes) is int


@pytest.mark.parametrize(("text", "expected"), [("25%", 250), ("100 %", 1000), ("0.5%", 5)])
def test_a_percentage_is_a_share_of_the_total(text, expected):
    assert parse_memory(text, total=1000) == expected


@pytest.mark.parametrize(
    "value",
    [
        0,
        0.0,
        -1,
        "-1GB",
        "0MB",
        "0.1B",
        float("nan"),
        float("inf"),
        "NaN",
        "-inf",
        "1e9",
        pytest.param(10**400, id="401 digits"),
        pytest.param("9" * 400, id="400 digits"),
        True,
        False,
        "",
        "  ",
        "GB",
        "1,5 GB",
        "1.5.2GB",
        "12 parsecs",
        "1XB",
        "1 G B",
        "101%",
        "0%",
        "٣MB",
    ],
)
def test_what_is_no_positive_amount_is_refused_with_the_accepted_forms(value):
    with pytest.raises(ParameterError, match=r'"512MB", "2GiB", "1.5 GB", "300M" or "25%"'):
        parse_memory(value, total=1000)


def test_a_percentage_needs_a_total():
    with pytest.raises(ParameterError, match="no total here that a percentage"):
        parse_memory("25%")


def test_a_fraction_of_a_byte_points_to_the_percentage():
    with pytest.raises(ParameterError, match='write a share as "25%"'):
        parse_memory(0.25)


@pytest.mark.parametrize("value", [None, [1], 1j, b"1GB"])
def test_other_types_are_a_type_error(value):
    with pytest.raises(ParameterTypeError, match=f"Got {type(value).__name__}"):
        parse_memory(value)


def test_a_long_junk_text_is_not_printed_whole():
    with pytest.raises(ParameterError, match="Got 'xxx") as caught:
        parse_memory("x" * 10_000)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("nbytes", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (-2048, "-2.0 KiB"),
        (65_326_285, "62.3 MiB"),
        (1024**2 - 1, "1.0 MiB"),
        (2 * 1024**3, "2.0 GiB"),
        (5000 * 1024**6, "5000.0 EiB"),
    ],
)
def test_amounts_are_printed_with_one_decimal(nbytes, expected):
    assert format_bytes(nbytes) == expected


@pytest.mark.parametrize("nbytes", [1536, 3 * 1024**2, 5 * 1024**3, 10**15])
def test_what_is_printed_can_be_typed_again(nbytes):
    assert parse_memory(format_bytes(nbytes)) == pytest.approx(nbytes, rel=0.05)
