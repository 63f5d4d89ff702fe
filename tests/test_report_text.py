"""What is removed from text that strangers wrote, and what must stay."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqaudit.core.text import clean, short, width, without_secrets


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b1mbold", "bold"),
        ("a\x00b\x07c\x7f", "abc"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("\u2066isolated\u2069", "isolated"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("e" + "\u0301" * 50, "e\u0301\u0301\u0301"),
        ("one\r\ntwo\u2028three", "one two three"),
        ("a \t\t b", "a b"),
        ("Zuschauer: 10 m, Grüße, 跳水, غطس", "Zuschauer: 10 m, Grüße, 跳水, غطس"),
    ],
)
def test_controls_and_direction_marks_are_removed_and_words_stay(given_: str, kept: str) -> None:
    assert clean(given_, 200) == kept


def test_nothing_is_an_empty_text_and_line_breaks_stay_on_request() -> None:
    assert clean(None, 10) == ""
    assert clean("a\r\nb\n", 10, lines=True) == "a\nb\n"


def test_a_long_text_is_cut_and_says_by_how_much() -> None:
    assert clean("x" * 1_000_000, 100) == "x" * 100 + " […999,900 more characters]"
    assert short("x" * 50, 10) == "x" * 9 + "…"


@given(st.text(), st.integers(1, 60))
def test_what_is_left_is_printable_and_short(text: str, limit: int) -> None:
    kept = clean(text, limit)
    assert len(kept) <= limit + 40
    assert not {c for c in kept if unicodedata.category(c) in {"Cc", "Cs", "Cn", "Co"}}
    assert not set(kept) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    assert len(short(text, limit)) <= limit


def test_wide_characters_take_two_columns_and_marks_none() -> None:
    assert width("跳水") == 4
    assert width("e\u0301a") == 2


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('base_url = "https://user:hunter22@host/v1"', "hunter22"),
        ('api_key = "abcdef"', "abcdef"),
        ("  token: 'abcdef'", "abcdef"),
        ('"password" = "abcdef"', "abcdef"),
        ("Authorization: Bearer abcdefghijklmnop", "abcdefghijklmnop"),
        ("401 for sk-proj-abcdefghijklmnop", "abcdefghijklmnop"),
        ("https://host/v1?key=abcdef&x=1", "abcdef"),
        ("AIzaSyA1234567890abcdefghijklmnop", "SyA1234567890"),
        ("401: Incorrect API key provided: sk-proj-abcdefghijklmnop", "abcdefghijklmnop"),
        ("sent Authorization: Bearer abc:def|ghi!jkl", "abc:def"),
        ('headers {"x-goog-api-key": "AbCdEf"}', "AbCdEf"),
        ("GET https://me:hunter22@host/v1?access_token=abcdef&x=1", "abcdef"),
        ("GET https://me:hunter22@host/v1", "hunter22"),
        ("AIzaSyA1234567890", "SyA1234567890"),
        ("hf_abcdefghijklmnopqrst of the hub", "abcdefghijklmnopqrst"),
    ],
)
def test_what_looks_like_a_key_is_hidden(text: str, secret: str) -> None:
    assert secret not in without_secrets(text)


def test_names_of_settings_and_models_are_no_secrets() -> None:
    study = (
        'api_key_env = "OPENAI_API_KEY"\nmax_output_tokens = 8192\nmodel = "hf-internal-testing/tiny-random-Llava"\n'
    )
    log = "asking http://localhost:8000 for Qwen/Qwen3-VL, basic squat, 4 files, hf-internal-testing/tiny"
    assert (without_secrets(study), without_secrets(log)) == (study, log)
