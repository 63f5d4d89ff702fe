"""Reasoning split into steps and tagged by rules: the written corpus, its held-out half, and hostile texts."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from aqaudit.traces import rules
from aqaudit.traces.rules import TAGS

CORPUS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "trace_steps.jsonl").read_text(encoding="utf-8").splitlines()
]


def macro_f1(half: str) -> float:
    rows = [row for row in CORPUS if row["half"] == half]
    return float(f1_score([r["tag"] for r in rows], [rules.tag(r["text"]) for r in rows], average="macro"))


def test_the_corpus_is_large_and_has_every_tag_in_both_halves() -> None:
    assert len(CORPUS) >= 150
    assert len({row["text"] for row in CORPUS}) == len(CORPUS)
    for half in ("development", "held out"):
        assert {row["tag"] for row in CORPUS if row["half"] == half} == set(TAGS)
    assert sum(row["half"] == "held out" for row in CORPUS) >= 75


def test_the_rules_reach_the_required_f1_on_the_half_written_after_they_were_frozen() -> None:
    assert macro_f1("held out") >= 0.80
    assert macro_f1("development") >= 0.95


@pytest.mark.parametrize(
    ("step", "tag"),
    [
        ("The left knee drifts inward at about 1.4 s, likely by a few centimetres.", "observation"),
        ("The left knee likely drifts inward.", "assumption"),
        ('The guideline "the heels probably stay on the floor" is about foot contact.', "rule"),
        ("There is no inward movement of the knees.", "observation"),
        ("A coach stands in the background while the lifter's arms stay bent at the top.", "observation"),
        ("As a professional athlete she would not make such a mistake.", "prestige"),
    ],
)
def test_what_a_word_means_depends_on_where_it_stands(step: str, tag: str) -> None:
    assert rules.tag(step) == tag


def test_a_trace_is_split_at_sentences_items_and_conclusions() -> None:
    trace = (
        "**Observation:**\n1. The heels lift (approx. 2 cm) at 0:02. The knees bend, e.g. in frame 3.\n"
        "- Her back is straight; her arms hang down.\nThe hips stay high, therefore the statement is false."
    )
    assert rules.split(trace) == [
        "The heels lift (approx. 2 cm) at 0:02.",
        "The knees bend, e.g. in frame 3.",
        "Her back is straight",
        "her arms hang down.",
        "The hips stay high",
        "therefore the statement is false.",
    ]


def test_a_quotation_is_not_cut() -> None:
    quoted = 'The rule reads "Stand tall; therefore breathe in deeply" and nothing else.'
    assert rules.split(quoted) == [quoted]


def test_a_bare_verdict_is_no_trace() -> None:
    assert rules.trace_of(None, "<answer>True</answer>") == ""
    assert rules.trace_of(None, "True") == ""
    assert rules.trace_of("The knees bend far enough.", "<answer>True</answer>") == "The knees bend far enough."
    assert "heels" in rules.trace_of(None, "<look>The heels are on the floor.</look><answer>True</answer>")


@given(st.text(alphabet=st.sampled_from("aA .,;:\"'-*\n0:1<>/\u2026\u201cso therefore"), max_size=3000))
@settings(max_examples=60, deadline=None)
def test_any_text_gives_bounded_lines_and_known_tags(text: str) -> None:
    found = rules.split(text)
    assert len(found) <= rules.MAX_STEPS
    for step in found[:5]:
        assert "\n" not in step
        assert len(step) <= rules.MAX_STEP_CHARACTERS
        assert rules.tag(step) in TAGS


def test_long_and_repetitive_texts_take_no_time() -> None:
    began = time.process_time()
    for text in ("so " * 100_000, '"' * 200_000, "if " + "a " * 100_000, "the knee is " * 20_000, "(" * 50_000):
        for step in rules.split(text)[:20]:
            rules.tag(step)
    assert time.process_time() - began < 5
