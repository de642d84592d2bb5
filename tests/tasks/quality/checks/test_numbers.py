import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.quality.checks.numbers import is_card, is_iban, is_phone, is_public_address, luhn

DIGITS = st.text("0123456789", min_size=2, max_size=30)


@given(DIGITS)
def test_exactly_one_last_digit_makes_the_checksum_hold(digits: str) -> None:
    assert sum(luhn(digits + str(last)) for last in range(10)) == 1


@given(DIGITS, st.data())
def test_changing_one_digit_breaks_the_checksum(digits: str, data: st.DataObject) -> None:
    whole = next(digits + str(last) for last in range(10) if luhn(digits + str(last)))
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.sampled_from([d for d in "0123456789" if d != whole[place]]))
    assert not luhn(whole[:place] + other + whole[place + 1 :])


@given(st.text("0123456789", min_size=18, max_size=18))
def test_a_german_account_number_with_its_check_digits_is_an_iban(account: str) -> None:
    check = 98 - int(account + "131400") % 97
    assert is_iban(f"DE{check:02d}{account}")
    assert not is_iban(f"DE{(check + 1) % 100:02d}{account}")
    assert not is_iban(f"FR{check:02d}{account}")


@pytest.mark.parametrize(
    "number", ["4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005"]
)
def test_a_card_of_a_known_issuer_is_a_card(number: str) -> None:
    assert is_card(number)


@pytest.mark.parametrize("number", ["4111 1111 1111 1112", "9111111111111119", "0000000000000000"])
def test_another_number_is_no_card(number: str) -> None:
    assert not is_card(number)


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("8.8.8.8", False),
        ("93.184.216.34", True),
        ("192.168.0.1", False),
        ("127.0.0.1", False),
        ("1.2.3.4", False),
        ("203.0.113.9", False),
        ("2a00:1450:4001:80b::200e", True),
        ("2001:db8:1:2::3", False),
        ("12:30:45", False),
    ],
)
def test_only_addresses_that_may_be_somebodys_are_public(text: str, public: bool) -> None:
    assert is_public_address(text) is public


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("+49 30 901820", True),
        ("(212) 736-5000", True),
        ("212-555-0143", False),
        ("+1 212 736 5000", True),
        ("+111111111", False),
        ("+12 34", False),
    ],
)
def test_telephone_numbers_have_enough_digits_and_belong_to_somebody(
    text: str, phone: bool
) -> None:
    assert is_phone(text) is phone
