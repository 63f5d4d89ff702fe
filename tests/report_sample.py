"""Answers, failures and frames as a study would leave them, for the tests of the report."""

from __future__ import annotations

import hashlib
import io
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from PIL import Image, ImageDraw

from aqaudit.core.schema import Answer
from aqaudit.core.table import SCHEMA

MODELS = {
    "qwen3-vl": ("Qwen/Qwen3-VL-235B-A22B-Instruct", "http://127.0.0.1:8000/v1", 0.75),
    "gemini-3.1-pro": ("gemini-3.1-pro-preview-04", "https://generativelanguage.googleapis.com", 0.55),
    "judge-always-kind": ("simulated 1 skill=0.8 bias=+1", "in process", 0.9),
}
STUDY = """name = "sample"
seed = 7
[[dataset]]
reader = "folder"
root = "clinic"
[models.qwen3-vl]
provider = "openai"
base_url = "http://someone:hunter22@localhost:8000/v1"
api_key_env = "QWEN_KEY"
api_key = "sk-abcdefghijklmnopqrstuvwxyz"
max_output_tokens = 8192
"""


def to_frame(answers: list[Answer]) -> pl.DataFrame:
    """Return answers as a frame of the answers table."""
    columns = {name: [getattr(a, name) for a in answers] for name in SCHEMA}
    return pl.DataFrame(columns, schema=SCHEMA)


def answer(key: str, **fields: object) -> Answer:
    """One answer with everything a study records that ``fields`` do not say."""
    defaults: dict[str, object] = {
        "answer_key": hashlib.sha256(key.encode()).hexdigest(),
        "study": "sample",
        "dataset": "clinic",
        "task": "squat",
        "kind": "verify",
        "model": "qwen3-vl",
        "framing": "positive",
        "question_id": f"q-{key}",
        "performance_id": f"p-{key}",
        "performer": "s01",
    }
    return Answer(**(defaults | fields))  # type: ignore[arg-type]


def sample(media: Path | None = None, *, n: int = 300) -> pl.DataFrame:
    """``n`` answers of three models, one simulated, of four kinds, some of them unreadable; frames under ``media``."""
    random_ = random.Random(7)
    kinds = ("verify", "detect", "choose", "score")
    names = list(MODELS)
    frames = [_store(_drawing(i), media) for i in range(12)]
    rows = []
    for i in range(n):
        model, kind = names[i % 3], kinds[(i // 3) % 4]
        small = kind == "detect"
        performer = f"s{random_.randrange(3 if small else 12):02d}"
        version, endpoint, skill = MODELS[model]
        framing = "negative" if kind == "detect" else ("positive", "negative")[i % 2]
        body = _answered(kind, skill, framing, random_)
        unread = random_.random() < 0.06
        if unread:
            body |= {
                "parse": random_.choice(["unparsed", "refused"]),
                "said": "I am sorry, I cannot see a person here.",
            }
            body |= {"says_correct": None, "choice": None, "score": None, "answered": None}
        free = endpoint != "in process"
        rows.append(
            answer(
                f"{i}",
                **body,
                kind=kind,
                model=model,
                model_version=version,
                dataset="ui-prmd" if small else "clinic",
                task={"verify": "squat", "detect": "squat-errors", "choose": "depth", "score": "execution"}[kind],
                framing=framing,
                answer_words="true_false",
                media_form="frames",
                fps_asked="default",
                fps_sent=2.0,
                frames_sent=10,
                width=(640, 768)[i % 2],
                height=432,
                temperature=0.7,
                max_tokens=8192,
                prompt_id=f"{kind}/base/v1",
                performance_id=f"{performer}-{i % 40}",
                performer=performer,
                video=performer,
                action="deep squat",
                criterion=None if kind == "detect" else "heels_down",
                error="knees_inward" if kind == "detect" else None,
                reasoning="The heels stay on the floor. The hips pass the knees.\nSo the statement holds."
                if i % 5
                else None,
                finish_reason="stop",
                input_tokens=1800 + i if free else None,
                output_tokens=40 if free and i % 7 else None,
                seconds=round(1 + random_.random(), 3),
                usd=0.0011 if model.startswith("gemini") else None,
                asked_at=datetime(2026, 3, 1, 9, tzinfo=UTC) + timedelta(seconds=i),
                endpoint=endpoint,
                media_sha256=[frames[(i + j) % 12] for j in range(10)],
            )
        )
    return to_frame(rows)


def _answered(kind: str, skill: float, framing: str, random_: random.Random) -> dict[str, object]:
    good = random_.random() < skill
    if kind in {"verify", "detect"}:
        gold = random_.random() < 0.5
        says = gold if good else True
        word = str(says == (framing == "positive"))
        return {"gold_correct": gold, "says_correct": says, "said": f"<answer>{word}</answer>", "answered": word}
    if kind == "choose":
        options = ["above parallel", "parallel", "below parallel"]
        right = random_.choice(options)
        chosen = right if good else "parallel"
        body: dict[str, object] = {"options": options, "gold_choice": right, "choice": chosen, "answered": chosen}
        return body | {"said": f"The hips end {chosen}.\n<answer>{chosen}</answer>"}
    right_score = round(random_.uniform(4, 29), 1)
    given = round(18 + (right_score - 18) * (skill if good else 0.1), 1)
    body = {"gold_score": right_score, "score": given, "scale_min": 0.0, "scale_max": 30.0, "answered": f"{given}"}
    return body | {"said": f"<answer>{given}</answer>"}


def failures() -> pl.DataFrame:
    """Failed requests of two models."""
    return pl.DataFrame(
        {
            "answer_key": ["a", "b", "c"],
            "model": ["qwen3-vl", "qwen3-vl", "gemini-3.1-pro"],
            "cause": ["timeout", "timeout", "rate_limited"],
            "message": [
                "no answer within 120 s",
                "no answer within 120 s",
                "429; Authorization: Bearer abcdefghijkl123",
            ],
            "endpoint": ["http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1", "https://elsewhere.example"],
        }
    )


def _drawing(place: int) -> bytes:
    image = Image.new("RGB", (640, 432), (214, 222, 228))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 380, 640, 432), fill=(150, 140, 130))
    bend = 90 * math.sin(place / 12 * math.pi)
    hip, knee = (300 - bend / 2, 250 + bend), (330 + bend / 2, 310 + bend / 4)
    for a, b in (((320, 380), knee), (knee, hip), (hip, (330, 130 + bend)), ((330, 150 + bend), (420, 170 + bend))):
        draw.line((*a, *b), fill=(40, 60, 90), width=18)
    draw.ellipse((305, 70 + bend, 365, 130 + bend), fill=(40, 60, 90))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def _store(data: bytes, media: Path | None) -> str:
    sha = hashlib.sha256(data).hexdigest()
    if media is not None:
        (media / sha[:2]).mkdir(parents=True, exist_ok=True)
        (media / sha[:2] / f"{sha}.jpg").write_bytes(data)
    return sha
