"""The signature of a report: everything its figures depend on, so that two of them can be compared.

After sacrebleu (Post, A call for clarity in reporting BLEU scores, WMT 2018).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import metadata

import numpy as np
import polars as pl

from aqaudit.audits import verdicts
from aqaudit.measures import correlation, resample, rows

READ = (
    *("answer_key", "dataset", "task", "kind", "model", "thinking", "view", "strategy", "framing", "perturbation"),
    *("fps_asked", "frames_sent", "width", "height", "shots", "pair_order", "repeat", "question_id", "performance_id"),
    *("other_id", "pair_id", "performer", "action", "criterion", "error", "options", "gold_correct", "gold_score"),
    *("other_gold_score", "gold_choice", "gold_prefer", "scale_min", "scale_max", "parse", "says_correct", "score"),
    *("choice", "prefer"),
)
"""The identity, setting, truth and answer columns that figures are computed from."""


def signature(frame: pl.DataFrame, settings: Mapping[str, object]) -> dict[str, object]:
    """Return the signature of figures computed from ``frame``.

    Parameters
    ----------
    frame : polars.DataFrame
        The answers handed to the audits.
    settings : mapping
        What the caller adds: seed, draws and the like.

    Returns
    -------
    dict
        Plain values only, ready for JSON. ``sha256`` is that of the rows' content in the columns read, whatever their
        order or numeric width.
    """
    versions = (
        frame["schema_version"].drop_nulls().unique().sort().to_list() if "schema_version" in frame.columns else []
    )
    return {
        "aqaudit": metadata.version("aqaudit"),
        "schema_version": "+".join(str(version) for version in versions) or "unknown",
        "rows": frame.height,
        "sha256": content_hash(frame),
        "interval": f"delete-one-cluster jackknife, t(G-1), {resample.LEVEL:.0%}; Fisher z for correlations",
        "no_variance": "Clopper-Pearson with G trials",
        "rank_interval": (
            f"exact up to {correlation.EXACT_ROWS} rows and {correlation.EXACT_CLUSTERS} clusters, "
            "then influence functions"
        ),
        "cluster": rows.CLUSTER,
        "perturbation": "none",
        "framings": "equal weight",
        "unparsed": "wrong for its class; left out of correlations and distances",
        "range": "gold extremes of the parsed rows per dataset, task and action; fixed in the interval",
        "min_clusters": resample.MIN_CLUSTERS,
        "min_clusters_per_class": resample.MIN_CLUSTERS_PER_CLASS,
        "max_cluster_share": resample.MAX_CLUSTER_SHARE,
        "thresholds": {
            f"{audit}.{figure}.{name}": value
            for audit, figures in verdicts.thresholds().items()
            for figure, rule in figures.items()
            for name, value in rule.items()
        },
        **settings,
    }


def format_signature(signature: Mapping[str, object]) -> str:
    """Return a signature as one line: ``name:value`` joined by bars, the hash cut to 12 digits."""
    parts = []
    for name, value in signature.items():
        if isinstance(value, dict):
            parts += [f"{key}:{inner}" for key, inner in value.items()]
        else:
            parts.append(f"{name}:{str(value)[:12] if name == 'sha256' else value}")
    return "|".join(parts)


def content_hash(frame: pl.DataFrame) -> str:
    """Return the SHA-256 of the columns in :data:`READ` that the frame has, independent of the order of rows."""
    return rows_hash(frame.select(name for name in READ if name in frame.columns))


def rows_hash(frame: pl.DataFrame) -> str:
    """Return the SHA-256 of a frame's content, independent of the order of rows."""
    texts = [_text(frame[name]).alias(name) for name in frame.columns]
    digest = hashlib.sha256(str(frame.height).encode())
    for text in texts:
        digest.update(f"\x1e{text.name}\x1f{text[0] if _same(text) else ''}".encode())
    varying = [text for text in texts if not _same(text)]
    if varying:
        lines = pl.select(pl.concat_str(varying, separator="\x1f").alias("line"))
        digest.update("\x1e".join(lines["line"].sort().to_list()).encode())
    return digest.hexdigest()


def _text(column: pl.Series) -> pl.Series:
    """Return a column as text that two equal values share: floats by their bits, null apart from empty."""
    if column.dtype.is_float():
        # Adding 0.0 makes -0.0 and 0.0 one; all NaN count as missing.
        values = column.cast(pl.Float64).fill_nan(None)
        bits = pl.Series(column.name, (values.fill_null(0.0).to_numpy() + 0.0).view(np.uint64)).cast(pl.String)
        return pl.select(pl.when(values.is_not_null()).then(bits).otherwise(pl.lit("\x00"))).to_series()
    if isinstance(column.dtype, pl.List):
        return (
            column.cast(pl.List(pl.String))
            .list.eval(pl.element().fill_null("\x00"))
            .list.join("\x1d")
            .fill_null("\x00")
        )
    text = column.cast(pl.String).fill_null("\x00")
    # Keys made up on import number the rows, and would make the hash depend on their order.
    return text.str.replace(r"^import-\d+$", "\x00") if column.name == "answer_key" else text


def _same(text: pl.Series) -> bool:
    return text.len() > 0 and text.n_unique() == 1
