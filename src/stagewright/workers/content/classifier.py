"""Worker `content-classifier`: sorts articles by how well they fit a topic, labels them and removes repeats.

Pure but for progress: the same articles and topic always give the same answer. Runs in a thread of the worker process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from stagewright.sdk import Context, Result, Worker
from stagewright.workers.content.feeds import TITLE_OF_TEXT_CHARS
from stagewright.workers.content.inputs import article_list, number_input, refuse, text_input
from stagewright.workers.content.keyphrases import Keyphrase, keyphrases
from stagewright.workers.content.language import detect
from stagewright.workers.content.relevance import Document, Relevance, rank
from stagewright.workers.content.similarity import near_duplicates
from stagewright.workers.content.taxonomy import OTHER, labels_of
from stagewright.workers.content.text import beginning, clean, one_line, terms

ARTICLES_MAX = 5_000
TOPIC_CHARS_MAX = 500
MIN_SCORE_DEFAULT = 0.2
KEYPHRASES_MAX = 30  # of the corpus
KEYPHRASES_OF_ARTICLE_MAX = 3
LABEL_ARTICLES_MIN = 4  # that share a phrase, before it serves as the label of those without another
_FULL_SHARE = 0.9  # of the longest text of a group, from which an article counts as printed in full
_FIELD_CHARS = {"title": 300, "summary": 2_000, "content_text": 20_000}
_TRACKING = ("utm_", "fbclid", "gclid", "mc_", "ref_src")

worker = Worker(
    "content-classifier",
    version="1",
    description="Scores articles against a topic, labels them, tells their language and removes near-duplicates",
)


@worker.action
def classify(inputs: dict[str, Any], ctx: Context) -> Result:
    """Classify articles.

    Inputs: `topic`; `articles` (articles, or objects with `articles`); `min_score` (0..1, default 0.2).
    Output: `articles` without repeats, best first, each with score, relevant, labels, keyphrases, language and reason;
    `dropped` with duplicates (id, duplicate_of, similarity) and the number irrelevant (marked, not removed);
    `labels` and `languages` of the relevant ones with their numbers; `keyphrases` with phrase and count.
    Errors: Terminal `bad_input`.
    """
    topic = text_input(inputs, "topic", limit=TOPIC_CHARS_MAX)
    if not terms(topic):
        raise refuse("topic", "at least one word with a meaning of its own", topic, "name the field, e.g. 'heat pumps'")
    min_score = number_input(inputs, "min_score", default=MIN_SCORE_DEFAULT, low=0.0, high=1.0)
    assert min_score is not None, "the default is a number"
    given = article_list(inputs.get("articles"), "articles", limit=ARTICLES_MAX)
    articles = [_tidied(article, place) for place, article in enumerate(given)]
    ctx.progress(0.1, f"{len(articles)} articles")
    kept, duplicates = _without_duplicates(articles)
    ctx.progress(0.5, f"{len(duplicates)} near-duplicates")
    languages = [detect(f"{a['title']}.\n{_longest(a)}", a.get("language")) for a in kept]
    ranked = rank(topic, [_document(article) for article in kept], languages)
    ctx.progress(0.8, "scored")
    return _result(topic, kept, languages, ranked, duplicates, min_score)


def _tidied(article: Mapping[str, Any], place: int) -> dict[str, Any]:
    """Return the article with texts that are texts and an id, whoever made it."""
    own = dict(article)
    for field, limit in _FIELD_CHARS.items():
        value = own.get(field)
        own[field] = clean(value, limit=limit) if isinstance(value, str) else ""
    own["title"] = one_line(own["title"]) or beginning(own["summary"] or own["content_text"], TITLE_OF_TEXT_CHARS)
    own["id"] = str(own.get("id") or f"article-{place + 1}")
    published = own.get("published")
    own["published"] = published if isinstance(published, str) and published else None
    return own


def _document(article: Mapping[str, Any]) -> Document:
    """Return the words by field; a summary that only repeats the start of the text is not counted twice."""
    summary, text = article["summary"], article["content_text"]
    if text.startswith(summary.rstrip("…")):
        summary = ""
    return Document.of(title=article["title"], summary=summary, text=text)


def _without_duplicates(
    articles: Sequence[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Keep one of each group of near-duplicates and name it for the others."""
    groups = _Groups(len(articles))
    addresses = [_canonical(a.get("url")) for a in articles]
    first_at: dict[str, int] = {}
    for index, address in enumerate(addresses):
        first = first_at.setdefault(address, index) if address else index
        if first != index:
            groups.join(first, index, 1.0)
    texts = [f"{a['title']}\n{_longest(a)}" for a in articles]
    titles = [" ".join(terms(a["title"])) for a in articles]
    for pair in near_duplicates(texts, list(zip(addresses, titles, strict=True))):
        groups.join(pair.first, pair.second, pair.similarity)
    best = {head: _best(articles, members) for head, members in groups.members().items()}
    kept, dropped = [], []
    for index, article in enumerate(articles):
        chosen = best[groups.head(index)]
        if chosen == index:
            kept.append(article)
            continue
        similarity = round(groups.similarity[index], 3)
        named = {"title": article["title"], "feed_title": article.get("feed_title")}
        dropped.append({"id": article["id"], "duplicate_of": articles[chosen]["id"], "similarity": similarity} | named)
    return kept, dropped


class _Groups:
    """Places that belong together, with how close each is to another of its group (union-find)."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))
        self.similarity: dict[int, float] = {}

    def head(self, index: int) -> int:
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index

    def join(self, first: int, second: int, similarity: float) -> None:
        self._parent[self.head(second)] = self.head(first)
        for index in (first, second):
            self.similarity[index] = max(similarity, self.similarity.get(index, 0.0))

    def members(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for index in range(len(self._parent)):
            found.setdefault(self.head(index), []).append(index)
        return found


def _best(articles: Sequence[dict[str, Any]], members: Sequence[int]) -> int:
    """Return the earliest of those that are about as long as the longest: the original, not an excerpt of it."""
    longest = max(len(_longest(articles[i])) for i in members)
    full = [i for i in members if len(_longest(articles[i])) >= _FULL_SHARE * longest]
    return min(full, key=lambda i: (articles[i]["published"] or "~", i))


def _longest(article: Mapping[str, Any]) -> str:
    texts: tuple[str, str] = (article["content_text"], article["summary"])
    return max(texts, key=len)


def _canonical(url: object) -> str:
    """Return an address without what does not change the page: scheme, `www.`, fragment, tracking parameters."""
    if not isinstance(url, str):
        return ""
    try:
        parts = urlsplit(url)
        query = [(k, v) for k, v in parse_qsl(parts.query) if not k.lower().startswith(_TRACKING)]
        host = (parts.hostname or "").removeprefix("www.")
        return urlunsplit(("", host, parts.path.rstrip("/"), urlencode(query), "")) if host else ""
    except ValueError:
        return ""


def _result(
    topic: str,
    articles: Sequence[dict[str, Any]],
    languages: Sequence[str],
    ranked: Sequence[Relevance],
    duplicates: list[dict[str, Any]],
    min_score: float,
) -> Result:
    texts = [f"{a['title']}.\n{_longest(a)}" for a in articles]
    relevant = [i for i, found in enumerate(ranked) if found.score >= min_score]
    phrases = _phrases(topic, [texts[i] for i in relevant], [languages[i] for i in relevant], relevant)
    classified = []
    for index, (article, found) in enumerate(zip(articles, ranked, strict=True)):
        having = [p for p in phrases if index in p.articles]
        own = [p.phrase for p in having[:KEYPHRASES_OF_ARTICLE_MAX]]
        shared = [p.phrase for p in having if len(p.articles) >= LABEL_ARTICLES_MIN][:1]
        added = {
            "score": found.score,
            "relevant": found.score >= min_score,
            "labels": labels_of(title=article["title"], text=_longest(article)) or shared or [OTHER],
            "keyphrases": own,
            "language": languages[index],
            "reason": found.reason,
        }
        classified.append(article | added)
    classified.sort(key=lambda article: (-article["score"], article["id"]))
    chosen = [article for article in classified if article["relevant"]]
    output = {
        "articles": classified,
        "dropped": {"duplicates": duplicates, "irrelevant": len(classified) - len(chosen)},
        "labels": _counted(label for article in chosen for label in article["labels"]),
        "languages": _counted(article["language"] for article in chosen),
        "keyphrases": [{"phrase": p.phrase, "count": len(p.articles)} for p in phrases],
    }
    quality = sum(article["score"] for article in chosen) / len(chosen) if chosen else 0.0
    summary = {"items_processed": len(articles) + len(duplicates), "quality_score": round(quality, 3)}
    return Result(output, summary=summary)


def _phrases(topic: str, texts: list[str], languages: list[str], places: list[int]) -> list[Keyphrase]:
    """Return the phrases of the relevant articles that say more than the topic itself, by place in the corpus."""
    asked = set(terms(topic))
    found = keyphrases(texts, languages, limit=2 * KEYPHRASES_MAX)
    telling = [p for p in found if set(terms(p.phrase)) - asked]
    return [Keyphrase(p.phrase, tuple(places[i] for i in p.articles)) for p in telling[:KEYPHRASES_MAX]]


def _counted(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))
