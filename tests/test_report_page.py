"""The report page: what it says, that it is inert, whole and the same every time."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from aqaudit.audits import AuditResult, audit
from aqaudit.audits.finding import Finding
from aqaudit.reporting import page
from aqaudit.reporting.svg import palettes
from aqaudit.reporting.verdicts import banners
from report_sample import STUDY, answer, failures, sample, to_frame

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)></title></style></svg>\"'><a href=javascript:alert(3)>"
    "\x00\x1b[31m\u202e{{ 7*7 }}{% raw %}&lt;b&gt;\ud7ff" + "A" * 1_000_000
)


class Reader(HTMLParser):
    """Collects the elements, attributes and text of a page, and complains about what is not closed."""

    VOID = frozenset({"meta", "link", "img", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        # </p>, </li> and their like are all written out in the templates.
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in {"style", "script"}:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def render(frame: pl.DataFrame, result: AuditResult | None = None, **options: object) -> str:
    frames = bool(options.pop("frames", True))
    defaults: dict[str, object] = {"title": "A study", "study_toml": STUDY}
    material = page.Material(frame=frame, **(defaults | options))  # type: ignore[arg-type]
    return page.render(material, result or audit(frame), frames=frames)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def html(media: Path) -> str:
    frame = sample(media)
    return render(frame, failures=failures(), media_dir=media)


def test_the_page_is_well_formed_and_its_tables_can_be_read_aloud(html: str) -> None:
    read = Reader(html)
    assert not read.open
    assert not read.wrong
    assert len(read.all("table")) == len(read.all("caption")) >= 20
    assert all(attrs.get("scope") in {"col", "row"} for attrs in read.all("th"))
    labelled = [a for a in read.all("svg") if a.get("role") == "img"]
    assert len([a for a in labelled if a.get("class") == "figure"]) >= 12
    assert len([a for a in labelled if a.get("class") is None]) > 100  # frames
    assert all(a.get("aria-label") for a in labelled)
    assert read.all("html")[0]["lang"] == "en"
    ids = [a["id"] for _, a in read.elements if a.get("id")]
    assert len(ids) == len(set(ids))
    targets = {str(a["href"])[1:] for tag in ("a", "use") for a in read.all(tag)}
    assert targets <= set(ids)


def test_the_verdict_comes_first_and_says_why_it_cannot_tell(html: str) -> None:
    text = Reader(html[html.index("<main>") :]).text
    assert text.index("may its judgement be used") < text.index("worst first") < text.index("What was sent")
    assert "Only 3 performers; at least 8 are needed for an interval." in text
    assert "Not checked here: framing" in text


def test_nothing_is_loaded_and_nothing_runs_but_the_one_script(html: str) -> None:
    read = Reader(html)
    policy = next(a["content"] for a in read.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert read.all("script") == [{}]
    assert not [name for _, attrs in read.elements for name in attrs if name.startswith("on") or name == "style"]
    addresses = [str(a[key]) for _, a in read.elements for key in ("src", "href") if a.get(key)]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert "url(" not in html
    assert "@import" not in html
    assert len(read.all("style")) == 1


@pytest.mark.parametrize("tag", ["style", "script"])
def test_the_policy_allows_exactly_the_style_and_the_script_that_are_there(html: str, tag: str) -> None:
    text = html[html.index(f"<{tag}>") + len(tag) + 2 : html.index(f"</{tag}>")]
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert f"{tag}-src 'sha256-{digest}'" in html.replace("&#39;", "'")


def test_the_same_answers_in_any_order_give_the_same_bytes(media: Path) -> None:
    frame = sample(media)
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=3)
    lost = failures()
    first = render(frame, failures=lost, media_dir=media)
    assert first == render(shuffled, failures=lost.reverse(), media_dir=media)


@pytest.mark.parametrize(
    ("model", "version", "title"),
    [
        ("my-judge", "simulated 3", "Simulated judge"),
        ("tiny", "untrained-llava", "untrained test model"),
        ("untrained-idefics", None, "untrained test model"),
        ("demo", "v1", "Demonstration model"),
    ],
)
def test_a_judge_that_is_no_real_model_gets_a_banner_and_a_mark(model: str, version: str | None, title: str) -> None:
    frame = to_frame([answer("1", model=model, model_version=version, gold_correct=True, says_correct=True)])
    read = Reader(render(frame))
    assert any(attrs.get("class") == "banner" for attrs in read.all("div"))
    assert title in read.text
    assert any(attrs.get("class") == "mark" for attrs in read.all("span"))
    assert "No vision-language model was judged here." in read.text


def test_real_models_get_no_banner() -> None:
    frame = to_frame([answer("1", model="democratic-vlm", gold_correct=True, says_correct=True)])
    assert banners(frame) == []
    assert 'class="banner"' not in render(frame)


def test_unknown_costs_are_unknown_and_never_zero() -> None:
    frame = to_frame(
        [
            answer("1", gold_correct=True, says_correct=True, model="m1"),
            answer("2", gold_correct=True, says_correct=True, model="m2", usd=0.25, input_tokens=1200),
            answer("3", gold_correct=True, says_correct=True, model="m2", input_tokens=None),
        ]
    )
    html = render(frame)
    table = html[html.index("<caption>Tokens, time and money") :].split("</table>", maxsplit=1)[0]
    m1, m2 = (" ".join(Reader(row).texts) for row in table.split("<tr>")[2:4])
    assert m1.count("unknown") == 5
    assert "at least 1,200 (unknown for 1 of 2 answers)" in m2
    assert "at least 0.2500 (unknown for 1 of 2 answers)" in m2


def test_destinations_say_what_left_the_machine(html: str) -> None:
    table = html[html.index("<caption>Where media went") :].split("</table>", maxsplit=1)[0]
    rows = [" ".join(Reader(row).text.split()) for row in table.split("<tr>")[2:]]
    assert rows == [
        "http://127.0.0.1:8000/v1 this machine qwen3-vl 100 100 7 2",
        "https://elsewhere.example another machine gemini-3.1-pro 0 0 0 1",
        "https://generativelanguage.googleapis.com another machine gemini-3.1-pro 100 100 7 0",
        "in process this machine judge-always-kind 100 100 7 0",
    ]


def test_failures_are_counted_by_model_and_cause(html: str) -> None:
    table = html[html.index("<caption>Requests that brought no answer") :].split("</table>", maxsplit=1)[0]
    text = Reader(table).text
    assert "qwen3-vl timeout 2 no answer within 120 s" in text
    frame = to_frame([answer("1", gold_correct=True, says_correct=True)])
    assert "Not recorded in these answers: unknown." in render(frame)
    assert "No request failed." in render(frame, failures=failures().clear())


def test_no_secret_of_study_or_failure_is_shown(html: str) -> None:
    for secret in ("hunter22", "sk-abcdefghijklmnopqrstuvwxyz", "abcdefghijkl123"):
        assert secret not in html
    assert "QWEN_KEY" in html


def test_hostile_text_is_inert_wherever_it_stands(tmp_path: Path) -> None:
    hostile: dict[str, object] = dict.fromkeys(
        ("said", "reasoning", "answered", "question_id", "performance_id", "performer", "action", "criterion"), HOSTILE
    )
    hostile |= dict.fromkeys(("model", "model_version", "dataset", "task", "prompt_id", "endpoint", "study"), HOSTILE)
    rows = [
        answer("1", **hostile, gold_correct=True, says_correct=False),
        answer("2", **hostile, kind="choose", options=[HOSTILE, "b"], gold_choice=HOSTILE, choice="b"),
        answer("3", **hostile, parse="refused", gold_correct=True, media_sha256=["../../../etc/passwd", HOSTILE]),
    ]
    frame = to_frame(rows)
    lost = pl.DataFrame({"model": [HOSTILE], "cause": [HOSTILE], "message": [HOSTILE], "endpoint": [HOSTILE]})
    bad = Finding(
        audit="chance", scope={"model": HOSTILE}, measure=HOSTILE, value=0.1, headline=True, verdict="fail",
        summary=HOSTILE, why=HOSTILE, advice=HOSTILE, flag=HOSTILE, details={HOSTILE[:90]: HOSTILE},
    )  # fmt: skip
    result = AuditResult(findings=(*audit(frame).findings, bad), signature={HOSTILE: HOSTILE})
    html = render(frame, result, failures=lost, title=HOSTILE, study_toml=HOSTILE, media_dir=tmp_path)
    read = Reader(html)
    assert not read.wrong
    assert not read.open
    assert len(read.all("script")) == 1
    assert not read.all("img")
    assert not [name for _, attrs in read.elements for name in attrs if name.startswith("on")]
    assert not set(html) & {"\x00", "\x1b", "\u202e"}
    assert "{{ 7*7 }}" in read.text
    assert "more characters]" in read.text
    assert len(html) < 400_000


def test_frames_are_shown_small_and_can_be_left_out(html: str, media: Path) -> None:
    pictures = Reader(html).all("image")
    assert len(pictures) == len({a["href"] for a in pictures}) == 7  # each once, however often it is shown
    assert all(str(a["href"]).startswith("data:image/jpeg;base64,") for a in pictures)
    assert all(int(str(a["height"])) <= 112 for a in pictures)
    bare = render(sample(media), media_dir=media, frames=False)
    assert not Reader(bare).all("image")
    assert "Pictures were left out on request." in bare


def test_examples_are_sampled_and_of_every_outcome(html: str) -> None:
    shown = re.findall(r'class="example" id="(e\d+)"', html)
    assert len(shown) == len(set(shown)) == 120
    assert set(re.findall(r'data-answer="(\w+)"', html)) == {"right", "wrong", "unparsed"}
    assert "120 of 300 questions are shown" in html


def test_the_answers_that_a_finding_names_are_shown_and_linked() -> None:
    frame = sample(n=2000)
    result = audit(frame)
    read = Reader(render(frame, result))
    links = {str(a["href"]) for a in read.all("a") if re.fullmatch(r"#e\d+-\d+", str(a["href"]))}
    pointed = [f for f in result.findings if f.headline and f.rows]
    assert len(links) >= len(pointed) > 5
    assert links <= {f"#{a['id']}" for a in read.all("li") if a.get("id")}


def test_all_questions_are_shown_where_they_are_few() -> None:
    html = render(sample(n=60))
    assert html.count('class="example"') == 60
    assert "Every question is shown." in html


def test_answers_to_one_question_stand_together_with_what_sets_them_apart() -> None:
    rows = [
        answer(f"{model}{framing}", question_id="q", performance_id="p", model=model, framing=framing,
               gold_correct=True, says_correct=framing == "positive")
        for model in ("m1", "m2") for framing in ("positive", "negative")
    ]  # fmt: skip
    html = render(to_frame(rows))
    assert html.count('class="example"') == 1
    assert html.count('class="reply"') == 4
    assert 'data-answer="wrong" data-model="m2" data-cell="negative"' in html
    assert '<select data-filter="cell"><option value="">all</option><option value="negative">' in html


def test_steps_of_reasoning_have_their_tag_and_point_to_frames(media: Path) -> None:
    frame = sample(media, n=40)
    key = frame.filter(frame["frames_sent"] == 10).sort("answer_key")["answer_key"][0]
    steps = pl.DataFrame(
        {
            "answer_key": [key, key, key],
            "step": [1, 2, 1],
            "scorer": ["rules", "rules", "zz"],
            "tag": ["observation", "prestige", "other"],
            "text": ["In frames 3 to 5 the heels rise.", "A champion <b>would</b> not err.", "not shown"],
            "claim": ['[{"quantity": "ankle_height", "comparator": ">", "value": 0.1, "moment": "bottom"}]', "x", None],
        }
    )
    html = render(frame, media_dir=media, auxiliary={"trace_steps": steps})
    shown = html[html.index('<ol class="steps">') :].split("</ol>", maxsplit=1)[0]
    assert '<li class="tag-0"><span class="tag">observation</span>' in shown
    assert '<li class="tag-3"><span class="tag">prestige</span> <bdi>A champion &lt;b&gt;would' in shown
    assert "claims: <bdi>ankle height &gt; 0.1 at bottom</bdi>" in shown
    assert re.search(r'href="#e\d+-s0-f3">frame 3</a>', shown)
    assert "not shown" not in shown


def test_the_prompt_is_shown_in_full_once_and_linked() -> None:
    frame = sample(n=8)
    asked = dict.fromkeys(frame["answer_key"].to_list(), "[answer]\n\n{first}\n\nIs it <true>?")
    html = render(frame, prompts=asked)
    assert html.count("Is it &lt;true&gt;?") == 1
    assert html.count('<a href="#prompt-1">prompt 1</a>') == 8


def test_how_a_performance_moved_is_drawn_where_it_is_known() -> None:
    frame = sample(n=8)
    who = frame["performance_id"][0]
    moved = pl.DataFrame(
        {
            "performance_id": [who] * 20,
            "t_s": [i / 10 for i in range(20)],
            "quantity": ["knee_angle_left"] * 20,
            "value": [180.0 - 4 * i for i in range(20)],
            "unit": ["deg"] * 20,
            "confidence": [0.9] * 20,
        }
    )
    assert "knee angle left, deg over seconds. from 104 to 180 over 1.9 seconds" in render(
        frame, auxiliary={"kinematics": moved}
    )


def test_a_finding_of_an_audit_that_the_page_does_not_know_is_shown_in_full() -> None:
    frame = sample(n=40)
    details = {"curve": [{"x": 0.1, "y": 0.2}, {"x": 0.3, "y": 0.9}], "share": 0.25, "names": ["a", "b"]}
    new = Finding(
        audit="weather", scope={"model": "qwen3-vl", "dataset": "clinic", "task": "squat", "kind": "verify"},
        measure="rain_bias", value=0.31, low=0.2, high=0.4, n=120, clusters=12, headline=True, verdict="fail",
        summary="It follows the rain (bias 0.31).", question="Does rain move it?", advice="Stay in.",
        citation="A. Uthor (2020)", details=details,
    )  # fmt: skip
    html = render(frame, AuditResult(findings=(*audit(frame).findings, new), signature={}))
    text = Reader(html).text
    assert "It follows the rain." in text[: text.index("worst first")]  # the verdict, without figures
    card = Reader(html[html.index('<article class="finding fail">') :].split("</article>", maxsplit=1)[0]).text
    for part in ("Does rain move it?", "(bias 0.31)", "rain bias 0.31", "(0.20 to 0.40)", "Stay in.", "A. Uthor"):
        assert part in card
    assert "x y 0.10 0.20 0.30 0.90" in card
    assert "share 0.25" in card
    assert "names a, b" in card


def test_findings_stand_worst_first_and_simulated_judges_last() -> None:
    frame = sample()
    html = render(frame)
    verdicts = html[html.index('id="verdict"') : html.index('id="findings"')]
    assert verdicts.index("qwen3-vl") < verdicts.index("judge-always-kind")


def test_a_preference_is_told_by_the_names_of_the_performances() -> None:
    row = answer(
        "1", kind="prefer", performance_id="dive 7", other_id="dive 9", gold_prefer="other", prefer="this", said="A"
    )
    text = Reader(render(to_frame([row]))).text
    assert "Truth: dive 9 is better" in text
    assert "qwen3-vl : dive 7 is better" in text


def test_a_picture_that_cannot_be_shown_is_a_note(tmp_path: Path) -> None:
    def stored(name: str, suffix: str) -> str:
        sha = hashlib.sha256(name.encode()).hexdigest()
        (tmp_path / sha[:2]).mkdir(exist_ok=True)
        (tmp_path / sha[:2] / f"{sha}{suffix}").write_bytes(b"not a picture")
        return sha

    shas = {"a": stored("clip", ".mp4"), "b": stored("broken", ".jpg"), "c": "0" * 64}
    rows = [
        answer(key, gold_correct=True, says_correct=True, task=key, media_sha256=[sha]) for key, sha in shas.items()
    ]
    text = Reader(render(to_frame(rows), media_dir=tmp_path)).text
    assert "The clip was sent as a video file, which is not shown here." in text
    assert text.count("A picture is missing or could not be read.") == 2


def test_2000_answers_with_long_reasoning_stay_under_5_mb(media: Path) -> None:
    frame = sample(media, n=2000).with_columns(reasoning=pl.lit("Step by step. " * 2000))
    assert len(render(frame, media_dir=media).encode()) < 5_000_000


def test_no_answers_at_all_still_make_a_page() -> None:
    read = Reader(render(to_frame([])))
    assert not read.wrong
    assert "Nothing could be judged" in read.text


def test_50000_answers_stay_usable(media: Path) -> None:
    frame = sample(media, n=2000)
    many = pl.concat(
        [frame.with_columns(pl.col("answer_key", "question_id", "performance_id") + f"-{i}") for i in range(25)]
    )
    html = render(many, media_dir=media)
    assert len(html.encode()) < 5_000_000
    assert "120 of 50,000 questions are shown" in html


def test_colours_of_text_keep_a_contrast_of_4_5_in_light_and_dark_and_on_paper() -> None:
    assert set(palettes()) == {"light", "dark", "print"}
    for colours in palettes().values():
        pairs = [(ink, ground) for ink in ("text", "quiet", "link") for ground in ("page", "box")]
        pairs += [(v, f"{v}-bg") for v in ("ok", "warn", "fail", "cannot_tell", "skipped")]
        pairs += [(v, "box") for v in ("ok", "fail", "skipped", "ink", "soft")]
        pairs += [(f"on-{part}", part) for part in ("a", "b", "none")]
        pairs += [(f"tag-{i}", "box") for i in range(7)]
        for ink, ground in pairs:
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def _contrast(a: str, b: str) -> float:
    """WCAG 2.1, relative luminance."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)
