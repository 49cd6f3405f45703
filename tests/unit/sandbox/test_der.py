"""The sandbox's DER, written as X.690 says and read back."""

from datetime import UTC, datetime

import pytest
from cryptography import x509

from gateway.model.marker import SANDBOX_OID
from gateway.sandbox import der


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "020100"), (127, "02017f"), (128, "02020080"), (256, "02020100"), (65_535, "020300ffff")],
)
def test_an_integer_never_looks_negative_and_wastes_no_byte(number: int, written: str) -> None:
    assert der.integer(number).hex() == written


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 70_000])
def test_a_length_is_read_as_it_was_written(size: int) -> None:
    assert der.read(der.octets(b"x" * size) + b"rest") == (0x04, b"x" * size, b"rest")


@pytest.mark.parametrize("oid", ["1.2.840.113549.1.7.2", "2.16.840.1.101.3.4.2.1", SANDBOX_OID])
def test_an_identifier_is_what_another_writer_makes_of_it(oid: str) -> None:
    # The first extended key usage of a certificate extension, as `cryptography` writes it.
    theirs = x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid)]).public_bytes()

    assert der.sequence(der.oid(oid)) == theirs


def test_a_set_is_sorted_by_its_bytes() -> None:
    parts = [der.integer(3), der.integer(1), der.octets(b""), der.true()]

    assert der.set_of(*parts) == der.set_of(*reversed(parts)) == bytes.fromhex("310b0101ff0201010201030400")


def test_times_are_in_utc_and_whole_seconds() -> None:
    at = datetime(2026, 11, 24, 12, 30, 1, 999, tzinfo=UTC)

    assert der.generalized_time(at) == b"\x18\x0f20261124123001Z"
    assert der.utc_time(at) == b"\x17\x0d261124123001Z"


@pytest.mark.parametrize("cut", [b"", b"\x30", b"\x30\x05ab", b"\x30\x82\x01"])
def test_what_ends_early_is_an_error(cut: bytes) -> None:
    with pytest.raises(ValueError, match="ends early"):
        der.read(cut)
