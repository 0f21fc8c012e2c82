"""One hash for one JSON value: judged by the standard library's reading of the same text, numbers as Decimals."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from hashlib import sha256

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from versionsync.ledger.content import ContentError, canonical, canonical_number, content_hash, parse_exactly

# --- the oracle: another reading of JSON, and what it means for two values to be the same ---


def read(text: bytes) -> object:
    """The value of `text`, numbers exact; a ValueError where there is none."""
    return json.loads(text.decode(), parse_int=Decimal, parse_float=Decimal, parse_constant=_no_constant)


def _no_constant(name: str) -> object:
    raise ValueError(name)


def same(left: object, right: object) -> bool:
    """Whether two decoded values are one: `true` is not 1, members count in any order, characters one by one."""
    match left, right:
        case dict(), dict():
            return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
        case list(), list():
            return len(left) == len(right) and all(map(same, left, right))
        case _:
            return type(left) is type(right) and left == right


# --- values, and every way of spelling one ---

LONE = "\ud83d"  # half of a surrogate pair
CHARACTERS = st.sampled_from('ab"\\/\x00\x1f\x7f\n é\u2028\ufffd\U0001f600' + LONE + "\udc00")
TEXTS = st.lists(CHARACTERS, max_size=4).map(lambda characters: "".join(characters).replace("\ud83d\udc00", "pair"))
NUMBERS = st.one_of(
    st.builds(Decimal, st.integers(-20, 20)),
    st.builds(lambda digits, exponent: Decimal(f"{digits}e{exponent}"), st.integers(-999, 999), st.integers(-4, 4)),
    st.builds(Decimal, st.integers(-(10**25), 10**25)),
    st.builds(lambda digits, exponent: Decimal(f"{digits}e{exponent}"), st.integers(-9, 9), st.integers(-400, 400)),
)
TWICE = st.booleans()
VALUES: st.SearchStrategy[object] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def spell(value: object, data: st.DataObject) -> str:
    """`value` as JSON, in a spelling that `data` chooses."""
    space = data.draw(st.sampled_from(["", " ", "\n\t\r "]))
    match value:
        case dict():
            members: list[tuple[str, object]] = data.draw(st.permutations(list(value.items())))
            written = [f"{spell_text(key, data)}{space}:{space}{spell(inner, data)}" for key, inner in members]
            twice = bool(data.draw(TWICE))
            if members and twice:  # a member twice: the last one counts
                written.insert(0, f"{spell_text(members[-1][0], data)}:{data.draw(st.sampled_from(['7', '[]', '{}']))}")
            return f"{{{space}{f'{space},'.join(written)}{space}}}"
        case list():
            return f"[{f'{space},{space}'.join(spell(inner, data) for inner in value)}]{space}"
        case str():
            return spell_text(value, data)
        case Decimal():
            return spell_number(value, data)
        case _:
            return json.dumps(value)


def spell_text(text: str, data: st.DataObject) -> str:
    """`text` in quotes, each character plain, escaped by a letter or by its code units, as far as JSON allows."""
    return '"' + "".join(data.draw(st.sampled_from(_spellings(character))) for character in text) + '"'


def _spellings(character: str) -> list[str]:
    units = character.encode("utf-16-be", "surrogatepass")
    codes = [f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2)]
    ways = ["".join(codes), "".join(code.replace("\\u", "\\U").upper().replace("\\U", "\\u") for code in codes)]
    if character in '"\\/':
        ways.append("\\" + character)
    if character == "\n":
        ways.append("\\n")
    if character >= " " and character not in '"\\' and not "\ud800" <= character <= "\udfff":
        ways.append(character)
    return ways


def spell_number(number: Decimal, data: st.DataObject) -> str:
    """`number` with its point and exponent anywhere, trailing zeros, `E`, `+`, and a minus before a zero."""
    negative, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).lstrip("0") or "0"
    zeros = data.draw(st.integers(0, 3))
    if text != "0":
        text, exponent = text + "0" * zeros, exponent - zeros
    point = data.draw(st.integers(0, len(text) - 1)) if len(text) > 1 else 0
    if point:
        exponent += point
        text = f"{text[:-point]}.{text[-point:]}"
    elif data.draw(st.booleans()):
        text += ".0"
    sign = "-" if negative and text.strip("0.") else data.draw(st.sampled_from(["", "-"])) if not number else ""
    if exponent == 0 and data.draw(st.booleans()):
        return sign + text
    if 0 < exponent < 30 and "." not in text and text != "0" and data.draw(st.booleans()):
        return sign + text + "0" * exponent
    letter = data.draw(st.sampled_from("eE"))
    plus = data.draw(st.sampled_from(["+", "+0", ""])) if exponent >= 0 else ""
    return f"{sign}{text}{letter}{plus}{exponent}"


# --- properties ---


@settings(deadline=None)
@given(value=VALUES, data=st.data())
def test_two_spellings_of_one_value_hash_equal(value: object, data: st.DataObject) -> None:
    first, second = (spell(value, data).encode() for _ in range(2))
    assert same(read(first), value), "the test spelled another value"
    assert content_hash(first) == content_hash(second)


@settings(deadline=None)
@given(left=VALUES, right=VALUES, data=st.data())
def test_values_hash_equal_exactly_when_they_are_the_same(left: object, right: object, data: st.DataObject) -> None:
    one, other = spell(left, data).encode(), spell(right, data).encode()
    assert (content_hash(one) == content_hash(other)) == same(read(one), read(other))


@settings(deadline=None)
@given(left=NUMBERS, right=NUMBERS)
def test_numbers_are_spelled_alike_exactly_when_they_are_equal(left: Decimal, right: Decimal) -> None:
    assert (canonical_number(json_number(left)) == canonical_number(json_number(right))) == (left == right)
    assert Decimal(canonical_number(json_number(left))) == left


def json_number(number: Decimal) -> str:
    return f"{number:E}" if number.is_normal() or not number else str(number)


@settings(deadline=None)
@given(value=VALUES, data=st.data())
def test_the_fast_and_the_slow_way_agree(value: object, data: st.DataObject) -> None:
    """What msgspec reads by itself comes out as what the standard library reads, spelled by the same encoder."""
    text = spell(value, data).encode()
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return  # there is only the slow way
    assert canonical(text) == msgspec.json.encode(parse_exactly(text), order="sorted")


@settings(deadline=None)
@given(value=VALUES, data=st.data())
def test_the_canonical_form_has_the_value_and_is_its_own(value: object, data: st.DataObject) -> None:
    form = canonical(spell(value, data).encode())
    assert same(read(form), value)
    assert canonical(form) == form


@settings(deadline=None)
@given(value=VALUES, data=st.data())
def test_bytes_that_are_no_json_are_content_errors_and_nothing_else(value: object, data: st.DataObject) -> None:
    """Bytes are taken out, put in and doubled; the oracle says whether a value is left."""
    text = bytearray(spell(value, data).encode())
    place = data.draw(st.integers(0, len(text)))
    text[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    try:
        expected = read(bytes(text))
    except ValueError:
        with pytest.raises(ContentError):
            content_hash(bytes(text))
    else:
        assert same(read(canonical(bytes(text))), expected)


# --- examples ---

EQUAL = {
    "members in another order": (b'{"a":1,"b":[2]}', b'{ "b" : [2] , "a" : 1 }'),
    "members of members too": (b'[{"a":{"x":1,"y":2}}]', b'[{"a":{"y":2,"x":1}}]'),
    "a member twice is the last": (b'{"a":1,"a":2}', b'{"a":2}'),
    "a member twice under two spellings": (b'{"a":1,"\\u0061":2}', b'{"a":2}'),
    "escapes": (b'"\\u0041\\/\\t"', b'"A/\\u0009"'),
    "surrogate pairs": ('"😀"'.encode(), b'"\\ud83d\\uDE00"'),
    "lone surrogates": (b'["\\ud800", 1]', b'["\\uD800",1.0]'),
    "a lone surrogate as a name": (b'{"\\udfff":1,"a":2}', b'{"a":2,"\\uDFFF":1}'),
    "a lone surrogate before a pair": (b'"\\ud83d\\ud83d\\ude00"', '"\\ud83d😀"'.encode()),
    "the same beside a lone surrogate": (
        '["é😀\\u0000","\\ud800"]'.encode(),
        b'["\\u00e9\\ud83d\\ude00\\u0000","\\ud800"]',
    ),
    "U+0000": (b'"a\\u0000"', b'"\\u0061\\u0000"'),
    "one": (b"1", b"1.0"),
    "one with exponents": (b"10e-1", b"0.1E+1"),
    "nought": (b"0", b"-0"),
    "nought in decimals": (b"-0.00", b"0e99"),
    "23 digits": (b"12345678901234567890123", b"1.2345678901234567890123e22"),
    "past a double": (b"1e400", b"10e399"),
    "past a double, written out": (b"1e400", b"1" + b"0" * 400),
    "below a double": (b"1e-400", b"0." + b"0" * 399 + b"1"),
    "5,000 digits": (b"7" * 5000, b"7." + b"7" * 4999 + b"e4999"),
    "5,000 noughts": (b"1" + b"0" * 5000, b"1e5000"),
    "at the edge of what is written out": (b"1" + b"0" * 4299, b"1e4299"),
    "past that edge": (b"1" + b"0" * 4300, b"1e4300"),
    "space around": (b" \n\t\r[ ] ", b"[]"),
}
DIFFERENT = {
    "a character": (b'"a"', b'"A"'),
    "composed and decomposed": ('"é"'.encode(), '"e\u0301"'.encode()),
    "a number and its text": (b"1", b'"1"'),
    "true and one": (b"true", b"1"),
    "false and nought": (b"[false]", b"[0]"),
    "null and nothing": (b'{"a":null}', b"{}"),
    "null and its name": (b"null", b'"null"'),
    "an empty list and an empty object": (b"[]", b"{}"),
    "the order of a list": (b"[1,2]", b"[2,1]"),
    "a list in a list": (b"[[1]]", b"[1]"),
    "one of 23 digits": (b"12345678901234567890123", b"12345678901234567890124"),
    "past 64 bits": (b"18446744073709551616", b"18446744073709551617"),
    "past a double": (b"1e400", b"1e401"),
    "beyond a double's digits": (b"0.1", b"0.1000000000000000055511151231257827"),
    "one of 5,000 digits": (b"7" * 5000, b"7" * 4999 + b"8"),
    "a sign": (b"1", b"-1"),
    "a sign of 5,000 digits": (b"7" * 5000, b"-" + b"7" * 5000),
    "a lone surrogate and the mark for one": (b'"\\ud800"', '"\ufffd"'.encode()),
    "a lone surrogate and its escape as text": (b'"\\ud800"', b'"\\\\ud800"'),
    "two lone surrogates": (b'"\\ud800"', b'"\\ud801"'),
    "the halves of a pair, turned": (b'"\\ude00\\ud83d"', b'"\\ud83d\\ude00"'),
    "U+0000 and its escape as text": (b'"\\u0000"', b'"\\\\u0000"'),
    "U+0000 and nothing": (b'"\\u0000"', b'""'),
    "members that trade values": (b'{"a":1,"b":2}', b'{"a":2,"b":1}'),
}


@pytest.mark.parametrize("texts", EQUAL.values(), ids=EQUAL.keys())
def test_equal_values_hash_equal(texts: tuple[bytes, bytes]) -> None:
    assert content_hash(texts[0]) == content_hash(texts[1])


@pytest.mark.parametrize("texts", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_different_values_hash_different(texts: tuple[bytes, bytes]) -> None:
    assert content_hash(texts[0]) != content_hash(texts[1])


def test_the_hash_is_sha256_of_the_canonical_form() -> None:
    """It is evidence: anyone can compute it again."""
    assert canonical(b'{"b": 1.50, "a": "\\u00e9"}') == '{"a":"é","b":15e-1}'.encode()
    assert content_hash(b"[1.0]") == sha256(b"[1]").digest()


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0e-7", "0"),
        ("0e" + "9" * 5000, "0"),
        ("1e2", "100"),
        ("1.50", "15e-1"),
        ("-0.0015E+1", "-15e-3"),
        ("100", "100"),
        ("12.0", "12"),
        ("1E-2", "1e-2"),
        ("1e99999999999999999999", "1e99999999999999999999"),
    ],
)
def test_each_decimal_value_has_one_spelling(text: str, spelled: str) -> None:
    assert canonical_number(text) == spelled


BAD = {
    "nothing": b"",
    "two values": b"1 2",
    "half a value": b'{"a":',
    "a comma too many": b"[1,]",
    "a name without quotes": b"{a:1}",
    "NaN": b"[NaN]",
    "minus infinity": b"-Infinity",
    "a leading nought": b"01",
    "a leading plus": b"+1",
    "a naked point": b"1.",
    "a line break in a text": b'"\n"',
    "U+0000 itself": b'"\x00"',
    "an unknown escape": b'"\\x41"',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "bytes that are no UTF-8": b'"\xff"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "an exponent of 5,000 digits": b"1e" + b"9" * 5000,
    "such an exponent beside a lone surrogate": b'["\\ud800",1e' + b"9" * 5000 + b"]",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_what_has_no_value_is_a_content_error(text: bytes) -> None:
    with pytest.raises(ContentError):
        content_hash(text)
    with pytest.raises(ContentError):
        content_hash(b'{"a":[' + text + b"]}") if text else content_hash(b" ")


@pytest.mark.parametrize("core", [b"1", b'"\\ud800"', b"7" * 5000], ids=["plain", "surrogate", "long"])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["lists", "objects"])
@pytest.mark.parametrize("depth", [200, 400, 700, 990, 5_000, 200_000])
def test_deep_content_is_read_or_refused(depth: int, opening: bytes, core: bytes) -> None:
    """Never a RecursionError, whichever way reads it: one bad record stops no other (invariant 13)."""
    text = opening * depth + core + (b"]" if opening == b"[" else b"}") * depth
    try:
        assert len(content_hash(text)) == 32
    except ContentError as error:
        assert "deep" in str(error)
        assert depth > 200, "nobody nests so little in vain"


@example(b'{"title":"SECRET",}')
@example(b'["\\ud800", SECRET]')
@example(b"SECRET")
@example(b'"SECRET\xff"')
@given(st.binary(max_size=20).map(lambda noise: b'["SECRET' + noise + b","))
def test_an_error_quotes_no_content(text: bytes) -> None:
    with pytest.raises(ContentError) as caught:
        content_hash(text)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.fixture
def digits_limit() -> Iterator[Callable[[int], None]]:
    """Sets Python's limit of digits in an integer's text, for this test."""
    before = sys.get_int_max_str_digits()
    yield sys.set_int_max_str_digits
    sys.set_int_max_str_digits(before)


def test_the_hash_does_not_depend_on_pythons_limit_of_digits(digits_limit: Callable[[int], None]) -> None:
    """A hash that moved with PYTHONINTMAXSTRDIGITS would be a rewrite imagined."""
    texts = (b"7" * 5000, b"7" * 700, b"1" + b"0" * 4999)
    expected = [content_hash(text) for text in texts]
    for limit in (0, 640, 9000):
        digits_limit(limit)
        assert [content_hash(text) for text in texts] == expected
