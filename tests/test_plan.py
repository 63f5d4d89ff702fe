"""The plan: stable keys, a random prefix, balanced pairs, prompts that say the same of both framings."""

from __future__ import annotations

import dataclasses
import random
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqaudit import BadInput, Study
from aqaudit.core.records import (
    ChoiceQuestion,
    Criterion,
    Dataset,
    ErrorStatement,
    Mask,
    Performance,
    Request,
    Scale,
    Slot,
)
from aqaudit.study.pairs import Pairing, pairs
from aqaudit.study.plan import Plan
from aqaudit.study.questions import shuffled

STUDY = """
name = "s"
seed = 1
[[dataset]]
reader = "folder"
root = "."
tasks = TASKS
[grid]
model = ["judge"]
GRID
[models.judge]
SETTINGS
"""
OPENAI = 'provider = "openai"\nmodel = "m"\nbase_url = "http://127.0.0.1:1/v1"'


class Sources:
    """Every performance has content of its own; ids that begin with i are pictures."""

    def content_hash(self, performance: Performance) -> str:
        return f"sha-{performance.media.name}"

    def describe(self, performance: Performance) -> SimpleNamespace:
        return SimpleNamespace(kind="image" if performance.id.startswith("i") else "video")

    def identity(self, performance: Performance) -> str:
        raise AssertionError(f"no study here shows the joints of {performance.id}")


def performance(i: int, **over: object) -> Performance:
    name = f"v{i:03d}"
    facts: dict[str, object] = {
        "id": name,
        "media": Path(f"{name}.mp4"),
        "action": "squat",
        "performer": f"s{i % 5}",
        "video": name,
        "criteria": {"deep": i % 3 > 0},
        "errors": {"knees": () if i % 2 else None},
        "scores": {"execution": float(i % 7)},
        "choices": {"hips": "above"},
    }
    return Performance(**{**facts, **over})  # type: ignore[arg-type]


def dataset(performances: list[Performance], **over: object) -> Dataset:
    facts: dict[str, object] = {
        "name": "made",
        "root": Path(),
        "criteria": (Criterion(id="deep", action="squat", positive="It is deep.", negative="It is not deep."),),
        "errors": (ErrorStatement(id="knees", action="squat", statement="The knees fall inward."),),
        "choices": (ChoiceQuestion(id="hips", action="squat", question="Where?", options=("above", "level", "below")),),
        "scales": (Scale(id="execution", min=0, max=10),),
        "performances": performances,
    }
    return Dataset(**{**facts, **over})  # type: ignore[arg-type]


def plan(
    data: Dataset,
    *,
    tasks: str = '["verify"]',
    grid: str = "",
    settings: str = OPENAI,
    shard: tuple[int, int] | None = None,
) -> Plan:
    text = STUDY.replace("TASKS", tasks).replace("GRID", grid).replace("SETTINGS", settings)
    return Plan.of(Study.parse(text), [data], Sources(), Sources(), shard)


def requests(data: Dataset, **options: str) -> list[Request]:
    return list(plan(data, **options).requests("judge"))


def test_the_count_is_the_number_of_requests() -> None:
    made = plan(
        dataset([performance(i) for i in range(9)]),
        tasks='["verify", "detect", "choose", "score", "prefer"]',
        grid='framing = ["positive", "negative"]\nperturbation = ["none", "blank"]',
    )
    assert made.count("judge") == len(list(made.requests("judge"))) == sum(1 for _ in made.planned("judge"))


def test_keys_depend_on_media_prompt_and_settings_and_on_nothing_else() -> None:
    base = dataset([performance(1)])
    [key] = [r.answer_key for r in requests(base)]
    same = [
        requests(base, settings=OPENAI.replace("127.0.0.1:1", "127.0.0.1:2")),
        requests(base, settings=OPENAI + "\nconcurrency = 3\nrpm = 7\nusd_per_mtok = [1, 2]\ntimeout_s = 9"),
        requests(dataset([performance(1, id="renamed", performer="z", criteria={"deep": False}, split="x")])),
        requests(dataset([performance(1)], name="other")),
    ]
    assert [r.answer_key for one in same for r in one] == [key] * len(same)
    reworded = Criterion(id="deep", action="squat", positive="It is Deep.", negative="n")
    different = [
        requests(dataset([performance(1, media=Path("else.mp4"))])),
        requests(dataset([performance(1, start_s=0.5)])),
        requests(dataset([performance(1)], criteria=(reworded,))),
        requests(base, grid="fps = [8]"),
        requests(base, grid="frames = [8]"),
        requests(base, grid='perturbation = ["blank"]'),
        requests(base, grid='answer_words = ["yes_no"]'),
        requests(base, settings=OPENAI + "\ntemperature = 0.1"),
        requests(base, settings=OPENAI.replace('"m"', '"m2"')),
        requests(base, settings=OPENAI + "\nmax_side = 512"),
    ]  # fmt: skip
    keys = [r.answer_key for one in different for r in one]
    assert len({key, *keys}) == len(keys) + 1


def test_a_repeat_is_another_key() -> None:
    keys = [r.answer_key for r in requests(dataset([performance(1)]), grid="repeats = 3")]
    assert len(set(keys)) == 3


def test_a_rate_means_nothing_for_a_picture_so_it_is_asked_once() -> None:
    picture = dataset([performance(1, id="i1")])
    assert len(requests(picture, grid='fps = ["default", 4, 8]')) == 1
    assert len(requests(dataset([performance(1)]), grid='fps = ["default", 4, 8]')) == 3


def test_the_order_does_not_depend_on_the_order_of_the_file_and_a_prefix_is_mixed() -> None:
    people = [performance(i) for i in range(60)]
    forward = [p.id for p in shuffled(people, 1)]
    assert forward == [p.id for p in shuffled(people[::-1], 1)] != [p.id for p in shuffled(people, 2)]
    assert len({p.performer for p in shuffled(people, 1)[:15]}) == 5


@settings(deadline=None)
@given(
    st.integers(0, 40),
    st.integers(1, 8),
    st.integers(0, 5),
    st.builds(
        Pairing,
        uses=st.integers(1, 4),
        min_gap=st.sampled_from([0.0, 0.2, 0.35]),
        gaps=st.sampled_from(["edges", "quantiles"]),
    ),
)
def test_pairs_are_of_two_performers_with_a_winner_and_no_performance_is_used_too_often(
    n: int, performers: int, seed: int, pairing: Pairing
) -> None:
    people = [performance(i, performer=f"s{i % performers}") for i in range(n)]
    uses: Counter[tuple[str, str]] = Counter()
    wins: Counter[tuple[str, str]] = Counter()
    questions = list(pairs(dataset(people), seed, pairing))
    assert questions == list(pairs(dataset(people[::-1]), seed, pairing))
    for question in questions:
        assert question.other is not None
        assert question.performance.performer != question.other.performer
        assert question.performance.video != question.other.video
        subject = question.error or question.criterion or ""
        wins[subject, question.gold_prefer or ""] += 1
        uses.update((subject, one.id) for one in (question.performance, question.other))
        if question.criterion == "execution":
            gap = question.gold_score - question.other_gold_score  # type: ignore[operator]
            assert question.gold_prefer == ("this" if gap > 0 else "other")
            assert abs(gap) >= pairing.min_gap * 10
    assert all(count <= pairing.uses for count in uses.values())
    for subject in ("execution", "deep", "knees"):
        assert abs(wins[subject, "this"] - wins[subject, "other"]) <= 1
    assert len({(q.question_id) for q in questions}) == len(questions)


def test_pairs_over_scores_fill_the_bands_of_the_gap_evenly() -> None:
    rng = random.Random(1)
    people = [performance(i, performer=f"s{i}", scores={"execution": 10 * rng.random()}) for i in range(400)]
    data = dataset(people, criteria=(), errors=())

    def counts(gaps: str, edges: list[float]) -> list[int]:
        made = pairs(data, 1, Pairing(uses=2, gaps=gaps))  # type: ignore[arg-type]
        found = [abs(q.gold_score - q.other_gold_score) / 10 for q in made]  # type: ignore[operator]
        return [sum(low <= gap < high for gap in found) for low, high in pairwise([*edges, 2.0])]

    fixed = counts("edges", [0, 0.05, 0.1, 0.2, 0.4])
    assert sum(fixed) >= 390
    assert max(fixed) - min(fixed) <= 2
    # Gaps of two uniform scores lie below g with probability 1 - (1 - g)^2.
    fifths = counts("quantiles", [1 - (1 - q / 5) ** 0.5 for q in range(5)])
    assert max(fifths) - min(fifths) <= 20


def test_both_orders_of_a_pair_show_the_same_two_media_swapped() -> None:
    made = requests(dataset([performance(i) for i in range(4)]), tasks='["prefer"]')
    by_pair: dict[str, list[Request]] = {}
    for request in made:
        by_pair.setdefault(request.question.question_id, []).append(request)
    for first, second in by_pair.values():
        assert first.key_fields[0].split("+") == second.key_fields[0].split("+")[::-1]
        assert first.answer_key != second.answer_key


def test_media_come_before_the_question_and_a_pair_is_labelled() -> None:
    verify, *_ = requests(dataset([performance(1)]))
    first, *rest = verify.chain.steps[0].parts
    assert first == Slot(name="first")
    assert 'Statement: "It is deep."' in rest[0]  # type: ignore[operator]
    prefer, *_ = requests(dataset([performance(i) for i in range(4)]), tasks='["prefer"]')
    parts = prefer.chain.steps[0].parts
    assert [p for p in parts if isinstance(p, Slot)] == [Slot(name="first"), Slot(name="second")]
    assert [str(p)[:14] for p in parts if isinstance(p, str)][:2] == ["Performance A:", "Performance B:"]


def test_the_two_framings_state_complements_and_nothing_else_changes() -> None:
    positive, negative = requests(dataset([performance(1)]), grid='framing = ["positive", "negative"]')
    a, b = (r.key_fields[2] for r in (positive, negative))
    assert a.replace("It is deep.", "It is not deep.") == b
    absent, present = requests(dataset([performance(1)]), tasks='["detect"]', grid='framing = ["positive", "negative"]')
    assert "does not make this error: The knees fall inward." in absent.key_fields[2]
    assert '"The knees fall inward."' in present.key_fields[2]


def test_text_in_braces_of_a_data_set_is_text() -> None:
    odd = Criterion(id="deep", action="squat", positive="Hips below {first} {answer_format} {0}", negative="n")
    [request] = requests(dataset([performance(1)], criteria=(odd,)))
    assert [p for p in request.chain.steps[0].parts if isinstance(p, Slot)] == [Slot(name="first")]
    assert "Hips below {first} {answer_format} {0}" in request.key_fields[2]


def test_options_are_shown_in_an_order_drawn_per_question() -> None:
    made = requests(dataset([performance(i) for i in range(40)]), tasks='["choose"]')
    assert len({r.option_order for r in made}) == 6
    for request in made:
        letters = [line[3:] for line in request.key_fields[2].splitlines() if line[1:3] == ") "]
        assert letters == [request.question.options[i] for i in request.option_order]


def test_each_scale_of_several_is_a_task_of_its_own() -> None:
    one = requests(dataset([performance(1)]), tasks='["score"]')
    assert [r.question.task for r in one] == ["score"]
    scales = (Scale(id="execution", min=0, max=10), Scale(id="style", min=0, max=5))
    both = dataset([performance(1, scores={"execution": 3, "style": 4})], scales=scales)
    assert [r.question.task for r in requests(both, tasks='["score"]')] == ["score:execution", "score:style"]


def test_shards_part_the_plan_by_performance() -> None:
    data = dataset([performance(i) for i in range(50)])
    whole = {r.answer_key for r in requests(data)}
    parts = [list(plan(data, shard=(i, 3)).requests("judge")) for i in (1, 2, 3)]
    assert sorted(key for part in parts for key in (r.answer_key for r in part)) == sorted(whole)
    assert [plan(data, shard=(i, 3)).count("judge") for i in (1, 2, 3)] == [len(p) for p in parts]


def test_a_task_without_labels_is_refused() -> None:
    bare = dataset([dataclasses.replace(performance(1), scores={})])
    with pytest.raises(BadInput, match=r"no label for task 'score'.*verify, detect, choose"):
        plan(bare, tasks='["score"]')
    study = Study.parse(STUDY.replace("tasks = TASKS\n", "").replace("GRID", "").replace("SETTINGS", OPENAI))
    with pytest.raises(BadInput, match="nothing to ask"):
        Plan.of(study, [dataset([])], Sources(), Sources())


def test_a_scale_a_criterion_and_an_error_of_one_name_are_three_questions_about_a_pair() -> None:
    people = [performance(i, criteria={"x": i % 2 > 0}, errors={"x": () if i % 2 else None}) for i in range(4)]
    people = [dataclasses.replace(p, scores={"x": float(i)}) for i, p in enumerate(people)]
    data = dataset(
        people,
        criteria=(Criterion(id="x", action="squat", positive="It is deep.", negative="It is not deep."),),
        errors=(ErrorStatement(id="x", action="squat", statement="The knees fall inward."),),
        scales=(Scale(id="x", min=0, max=10),),
    )
    made = [r for r in requests(data, tasks='["prefer"]') if r.cell.pair_order == "ab"]
    assert len({r.question.question_id for r in made}) == len(made)
    for request in made:
        assert f"in this respect: {request.question.text}" in request.key_fields[2]
    assert {r.question.text for r in made} == {"x", "It is deep.", "not making this error: The knees fall inward."}


def test_a_clip_beside_a_picture_is_sampled_as_a_clip() -> None:
    [first, *_] = requests(dataset([performance(0, id="i0"), performance(1, id="v1")]), tasks='["prefer"]')
    assert first.spec.fps == 2.0


def test_what_cannot_be_worded_or_is_left_out_altogether_is_refused_before_anything_is_asked() -> None:
    many = ChoiceQuestion(id="hips", action="squat", question="Where?", options=tuple(f"o{i}" for i in range(27)))
    with pytest.raises(BadInput, match=r"'hips' has 27 options.*at most 26"):
        plan(dataset([performance(1, choices={"hips": "o3"})], choices=(many,)), tasks='["choose"]')
    text = STUDY.replace("TASKS", '["verify"]').replace("GRID", "").replace("SETTINGS", OPENAI)
    study = Study.parse(text + '\n[[skip]]\nkind = "verify"\n')
    with pytest.raises(BadInput, match="leaves out every cell of model 'judge'"):
        Plan.of(study, [dataset([performance(1)])], Sources(), Sources())


def test_masks_windows_words_for_the_system_and_the_seed_are_in_the_key() -> None:
    base = dataset([performance(1)])
    [key] = [r.answer_key for r in requests(base)]
    mask = Mask(box=(0, 0, 9, 9))
    different = [
        requests(dataset([performance(1, masks=(mask,))])),
        requests(dataset([performance(1, masks=(dataclasses.replace(mask, to_s=1.0),))])),
        requests(dataset([performance(1, first_frame=1, last_frame=9)])),
        requests(base, settings=OPENAI + '\nsystem_prompt = "Think."'),
        requests(base, settings=OPENAI + '\nmedia_form = "video"'),
        requests(base, settings=OPENAI + "\nmax_frames = 8"),
        requests(base, settings=OPENAI + "\ndefault_fps = 4"),
        requests(base, settings=OPENAI + '\nthinking = "on"'),
        requests(base, settings=OPENAI + "\nmax_output_tokens = 9"),
    ]  # fmt: skip
    seeded = STUDY.replace("seed = 1", "seed = 2").replace("TASKS", '["verify"]').replace("GRID", "")
    different.append(
        list(Plan.of(Study.parse(seeded.replace("SETTINGS", OPENAI)), [base], Sources(), Sources()).requests("judge"))
    )
    keys = [r.answer_key for one in different for r in one]
    assert len(keys) == 10
    assert len({key, *keys}) == 11


def test_a_plan_is_walked_at_a_rate_of_a_million_requests_in_a_minute() -> None:
    """A small budget of ``benchmarks/plan_size.py``: seconds of CPU, since the machine may be busy."""
    grid = 'framing = ["positive", "negative"]\nperturbation = ["none", "blank"]'
    made = plan(dataset([performance(i) for i in range(1500)]), tasks='["verify", "detect"]', grid=grid)
    started = time.process_time()
    walked = sum(1 for _ in made.planned("judge"))
    assert walked == 1500 * 2 * 4
    assert (time.process_time() - started) / walked < 60e-6
