"""Worker `report-builder`: writes an HTML and a Markdown report about classified articles.

Article text is hostile: HTML is escaped by the template engine, Markdown by `finalize`, links are http(s) only, and
the page carries a policy that forbids scripts and every outside resource.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from stagewright.sdk import Context, Result, Worker
from stagewright.workers.content.findings import Findings, findings_of
from stagewright.workers.content.inputs import article_list, count_input, refuse, text_input
from stagewright.workers.content.text import counted

ARTICLES_MAX = 5_000
FEEDS_MAX = 1_000
SKIPPED_TOTAL_MAX = 10_000_000
TOPIC_CHARS_MAX = 500
TITLE_CHARS_MAX = 200
DEPTHS = ("quick", "comprehensive")
_TEMPLATES = Path(__file__).parent / "templates"
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~]|&(?=#?\w{1,31};))")
_MARKDOWN_LINE_START = re.compile(r"^(\s*)([-+=]|\d+[.)](?=\s|$))", re.MULTILINE)

worker = Worker(
    "report-builder",
    version="1",
    description="Writes a report (HTML and Markdown) with findings, summaries, a picture, a table and the sources",
)


class _Ready(str):
    """Markdown that is finished; everything else is escaped."""


@worker.action
async def build(inputs: dict[str, Any], ctx: Context) -> Result:
    """Build a report.

    Inputs: `topic`, `articles` (of content-classifier); `feeds` (of feed-fetcher), `skipped` and `skipped_total`
    (of rss-source-finder), `dropped` and `keyphrases` (of content-classifier), `depth` (quick or comprehensive),
    `title`.
    Output: `title`, `artifacts` (report.html, report.md), `articles` (number shown), `labels`, `highlights`.
    Errors: Terminal `bad_input`.
    """
    topic = text_input(inputs, "topic", limit=TOPIC_CHARS_MAX)
    depth = inputs.get("depth") or "quick"
    if depth not in DEPTHS:
        raise refuse("depth", " or ".join(DEPTHS), depth, "choose one of them or leave it out")
    title = f"Market research: {topic}"
    if inputs.get("title") is not None:
        title = text_input(inputs, "title", limit=TITLE_CHARS_MAX)
    articles = article_list(inputs.get("articles"), "articles", limit=ARTICLES_MAX)
    ctx.progress(0.1, f"{len(articles)} articles")
    findings = await asyncio.to_thread(
        findings_of,
        title=title,
        topic=topic,
        depth=depth,
        articles=articles,
        feeds=_objects(inputs, "feeds"),
        skipped=_objects(inputs, "skipped"),
        skipped_total=count_input(inputs, "skipped_total", default=0, low=0, high=SKIPPED_TOTAL_MAX),
        dropped=_dropped(inputs),
        keyphrases=[k for k in _objects(inputs, "keyphrases") if {"phrase", "count"} <= k.keys()],
    )
    ctx.progress(0.7, "summaries ready")
    page, text = await asyncio.to_thread(render, findings, datetime.now(UTC).date())
    artifacts = [
        await ctx.artifact("report.html", page, media_type="text/html; charset=utf-8"),
        await ctx.artifact("report.md", text, media_type="text/markdown; charset=utf-8"),
    ]
    ctx.progress(1.0, "report written")
    output = {
        "title": findings.title,
        "artifacts": artifacts,
        "articles": len(findings.entries),
        "labels": dict(findings.labels),
        "findings": list(findings.headlines),
        "highlights": [sentence for sentence, _ in findings.highlights],
    }
    return Result(output, summary={"items_processed": len(articles)})


def render(findings: Findings, made_on: date) -> tuple[str, str]:
    """Return the report as HTML and as Markdown."""
    shown = {"f": findings, "made_on": made_on, "picture": Markup(findings.picture)}
    html = _environment(autoescape=True).get_template("report.html.j2").render(shown)
    markdown = _environment(autoescape=False).get_template("report.md.j2").render(shown)
    return html, markdown


def _environment(*, autoescape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    if not autoescape:
        environment.finalize = markdown_text
        environment.filters["link"] = _markdown_link
    environment.filters["day"] = lambda day: f"{day.day} {day:%b %Y}" if day else "undated"
    environment.filters["counted"] = counted
    environment.filters["score"] = lambda score: "–" if score is None else f"{score:.2f}"
    return environment


def markdown_text(value: object) -> str:
    """Escape a text so that Markdown shows it as it is: no markup, no HTML, no list or heading at its start."""
    if isinstance(value, _Ready):
        return value
    text = re.sub(r"\s+", " ", str(value))
    escaped = _MARKDOWN_SPECIAL.sub(lambda m: {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(m[1], "\\" + m[1]), text)
    return _MARKDOWN_LINE_START.sub(lambda m: f"{m[1]}{m[2][:-1]}\\{m[2][-1]}", escaped)


def _markdown_link(text: str, url: str | None) -> _Ready:
    shown = markdown_text(text)
    if not url:
        return _Ready(shown)
    safe = re.sub(r"[()<>\\\s\[\]`\"|]", lambda m: f"%{ord(m[0]):02X}", url)
    return _Ready(f"[{shown}]({safe})")


def _objects(inputs: Mapping[str, Any], field: str) -> list[dict[str, Any]]:
    value = inputs.get(field)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise refuse(field, "a list of objects", value, "hand over the output of the stage before, or leave it out")
    if len(value) > FEEDS_MAX:
        raise refuse(field, f"at most {FEEDS_MAX} entries", value, "hand over fewer")
    return [dict(item) for item in value]


def _dropped(inputs: Mapping[str, Any]) -> dict[str, Any]:
    value = inputs.get("dropped")
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not isinstance(value.get("duplicates", []), list):
        raise refuse("dropped", "an object with duplicates", value, "hand over `dropped` of content-classifier")
    return dict(value)
