"""Prompts: what a model receives, word for word and part by part, for every strategy, kind and framing."""

from __future__ import annotations

import os
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from aqaudit import BadInput, Study
from aqaudit.core.records import Dataset, Question, Request, Slot, claims
from aqaudit.engine.parse import parse
from aqaudit.engine.rows import _expected
from aqaudit.engine.show import render
from aqaudit.models.catalog import load as load_model
from aqaudit.prompts import strategies, template
from aqaudit.prompts.framing import guideline
from aqaudit.prompts.shots import Pool
from aqaudit.study.plan import Plan
from aqaudit.study.questions import QuestionMaker
from aqaudit.study.requests import shown_in_order
from test_plan import OPENAI, STUDY, Sources, dataset, performance

GOLDEN = Path(__file__).parent / "golden"
KINDS = ("verify", "detect", "choose", "score", "prefer")
EVERYTHING = 'framing = ["positive", "negative", "neutral"]\nanswer_words = ["true_false", "yes_no", "a_b"]\n'


def people(n: int = 24, **over: object) -> list:
    return [performance(i, performer=f"s{i % 12}", **over) for i in range(n)]


def planned(grid: str, *, kinds: tuple[str, ...] = KINDS, data: Dataset | None = None, train: bool = True) -> Plan:
    data = data or dataset(people(), name="made")
    text = STUDY.replace("TASKS", str(list(kinds)).replace("'", '"')).replace("GRID", grid).replace("SETTINGS", OPENAI)
    pool = dataset([performance(i, performer=f"t{i % 10}", id=f"t{i}", split="train") for i in range(100, 140)])
    return Plan.of(Study.parse(text), [data], Sources(), Sources(), None, [pool] if train else None)


def first_of_each(plan: Plan) -> dict[str, Request]:
    found: dict[str, Request] = {}
    for request in plan.requests("judge"):
        cell, kind = request.cell, request.question.kind
        name = f"{cell.strategy.replace(':', '-').replace('+', '-')}_{kind}_{cell.framing}"
        found.setdefault(name, request)
    return found


@pytest.mark.parametrize("strategy", strategies.names())
def test_prompts_are_those_of_the_golden_files(strategy: str) -> None:
    """Set AQAUDIT_GOLDEN=write to write the files anew, then look at the difference."""
    shots = "shots = [2]\n" if strategy == "few_shot" else ""
    plan = planned(f'strategy = ["{strategy}"]\n{shots}framing = ["positive", "negative", "neutral"]')
    entry = load_model("judge", {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"})
    for name, request in first_of_each(plan).items():
        file, text = GOLDEN / f"{name}.txt", render(request, entry)
        if os.environ.get("AQAUDIT_GOLDEN") == "write":
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8"), f"{file.name} says something else"


def test_every_strategy_words_every_kind_in_every_framing() -> None:
    for strategy in strategies.names():
        for kind in KINDS:
            for framing in ("positive", "negative", "neutral"):
                strategies.check(strategy, kind, framing if kind in {"verify", "detect", "prefer"} else "positive")
    with pytest.raises(BadInput, match=r"'two_step:shwn' is not known; did you mean 'two_step:shown'"):
        template.load("two_step:shwn")


def test_every_prompt_of_every_cell_has_one_answer_format_no_open_placeholder_and_both_parts_of_a_pair() -> None:
    names = ", ".join(f'"{name}"' for name in strategies.names())
    for request in planned(f"strategy = [{names}]\nshots = [1, 2, 4]\n{EVERYTHING}").requests("judge"):
        *_, last = request.chain.steps
        text = "\n".join(part for step in request.chain.steps for part in step.parts if isinstance(part, str))
        assert "{" not in text
        assert "}" not in text
        assert str(last.parts[-1]).count("End with one line") == 1
        assert text.count("End with one line") == 1
        for step in request.chain.steps:
            asked = [part.name for part in step.parts if isinstance(part, Slot) and part.name in {"first", "second"}]
            pair = request.question.kind == "prefer"
            shown = ["first", "second"] if pair else ["first"]
            assert asked == (shown if "text" not in request.cell.strategy or step is not last else [])
        places = [part.step for part in last.parts if isinstance(part, Slot) and part.name == "shot"]
        assert places == list(range(1, len(request.shots) + 1))


def right_answers(request: Request) -> list[str]:
    """The words that are read as the truth."""
    question, expected = request.question, _expected(request)
    words = {"score": ["0", "1", "2", "3", "4", "5", "6"]}.get(question.kind, [*"ABC", "True", "False", "Yes", "No"])
    right = []
    for word in words:
        read = parse(f"<answer>{word}</answer>", expected)
        said = (read.says_correct, read.choice, read.score, read.prefer)
        truth = (question.gold_correct, question.gold_choice, question.gold_score, question.gold_prefer)
        if read.parse == "ok" and said == tuple(t if s is not None else None for s, t in zip(said, truth, strict=True)):
            right.append(word)
    return right


def test_exactly_one_answer_is_right_in_every_cell_and_complements_are_complements() -> None:
    for request in planned(EVERYTHING).requests("judge"):
        assert len(right_answers(request)) == 1, request.cell
    for framing, words in (("positive", "true_false"), ("negative", "yes_no"), ("neutral", "a_b")):
        said = claims(framing, words)  # type: ignore[arg-type]
        assert sorted(said.values()) == [False, True]


def test_neutral_wording_shows_both_statements_in_an_order_that_is_drawn_and_turned_at_a_repeat() -> None:
    made = list(planned('framing = ["neutral"]\nrepeats = 2', kinds=("verify",)).requests("judge"))
    assert {r.cell.answer_words for r in made} == {"a_b"}
    orders = {(r.question.question_id, r.cell.repeat): r.option_order for r in made}
    assert set(orders.values()) == {(0, 1), (1, 0)}
    assert len({order for (_, repeat), order in orders.items() if repeat == 0}) == 2
    for question_id in {r.question.question_id for r in made}:
        assert orders[question_id, 0] == orders[question_id, 1][::-1]
    for request in made:
        statements = [request.question.positive, request.question.negative]
        lines = [line[3:] for line in request.key_fields[2].splitlines() if line[:3] in {"A) ", "B) "}]
        assert lines == [statements[i] for i in request.option_order]
        says = parse("<answer>A</answer>", _expected(request)).says_correct
        assert says == (lines[0] == request.question.positive)


def test_letters_of_true_and_false_are_turned_at_every_other_repeat() -> None:
    a, b = (
        r
        for r in planned('answer_words = ["a_b"]\nrepeats = 2', kinds=("verify",), data=dataset(people(1))).requests(
            "judge"
        )
    )
    assert "A) The statement is true." in a.key_fields[2]
    assert "A) The statement is false." in b.key_fields[2]
    assert parse("<answer>A</answer>", _expected(a)).says_correct is True
    assert parse("<answer>A</answer>", _expected(b)).says_correct is False


def test_options_stand_at_every_place_once_in_as_many_repeats() -> None:
    made = list(planned("repeats = 3", kinds=("choose",), data=dataset(people(1))).requests("judge"))
    assert [sorted(r.option_order[place] for r in made) for place in range(3)] == [[0, 1, 2]] * 3


def test_the_two_switches_of_two_steps_hide_the_question_and_the_media() -> None:
    for name, shown, media in (
        ("two_step", False, True),
        ("two_step:shown", True, True),
        ("two_step:text", False, False),
        ("two_step:shown+text", True, False),
    ):
        [request] = planned(f'strategy = ["{name}"]', kinds=("verify",), data=dataset(people(1))).requests("judge")
        observe, answer = request.chain.steps
        assert ("It is deep." in "".join(p for p in observe.parts if isinstance(p, str))) is shown
        assert (Slot(name="first") in answer.parts) is media
        assert Slot(name="step", step=1) in answer.parts
        assert request.chain.prompt_id.startswith("two_step.v1")


def test_a_guideline_says_what_is_right_what_is_wrong_or_both() -> None:
    data = dataset(people(1))
    assert guideline(data, "squat", "verify", "positive")[0] == "It is deep."
    assert guideline(data, "squat", "detect", "negative") == ("It is not deep.", "The knees fall inward.")
    assert guideline(data, "squat", "prefer", "neutral")[0] == "It is deep. Not: It is not deep."
    assert guideline(data, "squat", "choose", "positive") == ("Where? (above / level / below)",)
    assert guideline(data, "jump", "verify", "positive") == ()
    diving = Dataset(name="mtl_aqa", root=Path())
    assert any("splash" in line for line in guideline(diving, "any dive", "score", "positive"))
    bare = dataset(people(2), criteria=(), errors=())
    with pytest.raises(BadInput, match=r"'made' has no criterion or error for action 'squat'.*\[\[skip\]\]"):
        planned('strategy = ["guideline"]', kinds=("score",), data=bare)


# --- few-shot ---------------------------------------------------------------------------------------------------------


def pool_questions(split: list) -> list[Question]:
    data = dataset(split)
    return [q for p in split for q in QuestionMaker(data, ("verify", "detect", "choose", "score")).questions(p)]


@pytest.mark.parametrize("kind", ["verify", "detect", "choose", "score", "prefer"])
def test_examples_are_balanced_nested_and_never_by_the_performer_or_from_the_video_that_is_asked_about(
    kind: str,
) -> None:
    crowd = [
        performance(i, performer=f"s{i % 12}", video=f"w{i // 2}", choices={"hips": ("above", "level")[i % 2]})
        for i in range(60)
    ]
    data = dataset(crowd)
    text = planned("strategy = ['few_shot']\nshots = [1, 2, 4]", kinds=(kind,), data=data)  # draws from another pool
    assert text.datasets[0].pool is not None
    from aqaudit.study.pairs import Pairing, pairs

    every = (
        list(pairs(data, 1, Pairing(uses=4)))
        if kind == "prefer"
        else [q for q in pool_questions(crowd) if q.kind == kind]
    )
    pool = Pool(every, 3)
    letters: Counter[str] = Counter()
    for question in every:
        four, two, one = (pool.draw(question, k) for k in (4, 2, 1))
        for shots in (four, two, one):
            for shot in shots:
                mine = {(p.performer, p.video) for p in (question.performance, question.other) if p}
                theirs = {(p.performer, p.video) for p in (shot.question.performance, shot.question.other) if p}
                assert not {m[0] for m in mine} & {t[0] for t in theirs}
                assert not {m[1] for m in mine} & {t[1] for t in theirs}
        ids = [{s.question.question_id for s in shots} for shots in (one, two, four)]
        assert ids[0] < ids[1] < ids[2]
        if kind in {"verify", "detect"}:
            assert [s.question.gold_correct for s in two].count(True) == 1
            assert [s.question.gold_correct for s in four].count(True) == 2
        if kind == "choose":
            assert sorted(Counter(s.question.gold_choice for s in four).values()) == [2, 2]
        if kind == "score":
            assert len({s.question.gold_score for s in four}) >= 3
        if kind == "prefer":
            letters.update("A" if (s.question.gold_prefer == "this") == (s.pair_order == "ab") else "B" for s in four)
        assert pool.draw(question, 4) == four
        again = pool.draw(question, 4, repeat=1)
        assert {s.question.question_id for s in again} == ids[2]
    assert any(pool.draw(q, 4) != pool.draw(q, 4, repeat=1) for q in every)
    if kind == "prefer":
        assert letters["A"] == letters["B"]


def test_the_key_covers_the_content_of_the_examples_and_they_are_shown_like_the_query() -> None:
    grid = 'strategy = ["few_shot"]\nshots = [2]\nfps = [8]'
    made = list(planned(grid, kinds=("verify",)).requests("judge"))
    for request in made:
        shown = shown_in_order(request)
        assert len(shown) == 3
        assert request.key_fields[0] == "+".join(f"sha-{p.media.name}" for p in shown)
        assert request.key_fields[1].count('"fps":8') == 3
        assert all(p.split == "train" for p in request.shots)
    keys = [r.answer_key for r in made]

    class Other(Sources):
        def content_hash(self, performance: object) -> str:
            return super().content_hash(performance).replace("v1", "w1")  # only those of the training split

    plan = planned(grid, kinds=("verify",))
    changed = Plan(plan.study, plan.datasets, Other(), Other())
    assert not set(keys) & {r.answer_key for r in changed.requests("judge")}


def test_gold_answers_of_examples_are_in_the_words_of_the_cell() -> None:
    grid = f'strategy = ["few_shot"]\nshots = [4]\n{EVERYTHING}'
    for request in planned(grid).requests("judge"):
        text = "\n".join(part for part in request.chain.steps[0].parts if isinstance(part, str))
        examples = text.split("Now the ")[0]
        given = [line[8:-9] for line in examples.splitlines() if line.startswith("<answer>")]
        assert len(given) == 4
        for word in given:
            assert parse(f"<answer>{word}</answer>", _expected(request)).parse == "ok", (word, request.cell)
        if request.question.kind in {"verify", "detect", "prefer"}:
            assert sorted(Counter(given).values()) == [2, 2]


def test_a_pool_with_too_few_others_is_refused_before_anything_is_asked() -> None:
    text = STUDY.replace("TASKS", '["verify"]').replace("GRID", 'strategy = ["few_shot"]\nshots = [4]')
    study = Study.parse(text.replace("SETTINGS", OPENAI))
    small = dataset([performance(i, performer=f"t{i}") for i in range(3)])
    with pytest.raises(BadInput, match=r"finds only \d of 4 examples by other performers"):
        Plan.of(study, [dataset(people())], Sources(), Sources(), None, [small])


def test_no_two_golden_files_are_the_same() -> None:
    texts = {file.name: file.read_text(encoding="utf-8").split("--------", 1)[1] for file in GOLDEN.iterdir()}
    assert len(texts) == len(strategies.names()) * 11
    for (a, one), (b, other) in combinations(texts.items(), 2):
        assert one != other, (a, b)


def test_what_a_reader_tells_of_a_performance_stands_behind_the_action_and_nothing_where_there_is_nothing() -> None:
    told = [performance(i, context=f"Dive {i}.", scores={"execution": float(i)}) for i in range(2)]
    names = ", ".join(f'"{name}"' for name in strategies.names() if name not in {"few_shot", "two_step:text"})
    single = planned(f"strategy = [{names}]", kinds=("score",), data=dataset(told))
    for request in single.requests("judge"):
        number = request.question.performance.id[-1]
        assert f"performing this action: squat.\n\nDive {number}.\n\n" in request.key_fields[2]
    for request in planned("", kinds=("prefer",), data=dataset(told, criteria=(), errors=())).requests("judge"):
        first, second = (p.id[-1] for p in shown_in_order(request))
        assert f"squat.\n\nPerformance A: Dive {first}.\n\nPerformance B: Dive {second}.\n\n" in request.key_fields[2]
    bare = next(iter(planned("", kinds=("score",)).requests("judge")))
    assert "this action: squat.\n\nRate" in bare.key_fields[2]
