"""Clean text, words, stems and sentences: what all content workers share. Pure functions."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

from selectolax.lexbor import LexborHTMLParser

_BLOCKS = "p,div,li,br,h1,h2,h3,h4,h5,h6,tr,td,th,blockquote,pre,section,article,figure,figcaption,ul,ol,table,hr"
STEMS_REMEMBERED = 50_000
_UNSEEN = "script,style,template,noscript,iframe,object,embed,svg,math,head,form,button"
_LOOKS_LIKE_MARKUP = re.compile(r"<[a-zA-Z/!?]|&[a-zA-Z#]")
_SPACES = re.compile(r"[^\S\n]+")
_LINE_ENDS = re.compile(r"\s*\n\s*")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_SENTENCE_END = re.compile(r"[.!?…]+[\"”»’')\]]*\s+(?=[\"“„«(‘]?[^\W_a-zà-öø-ÿ])|\n+")

_ABBREVIATION_LIST = (
    "e.g i.e etc vs mr mrs ms dr prof st no nos inc ltd co corp jr sr dept est approx fig vol pp al ca cf "
    "jan feb mar apr jun jul aug sep sept oct nov dec bzw ca nr usw vgl evtl inkl mio mrd u.a z.b d.h"
)
_ABBREVIATIONS = frozenset(_ABBREVIATION_LIST.split())

_STOP_WORD_LIST = (
    "a about above after again against all almost along already also although always am among an and another any "
    "are aren't around as at away back be became because been before being below between both but by came can "
    "can't cannot could did do does doing done down due during each either else even ever every few first for "
    "from further get gets give given go goes going got had has have having he her here hers him his how however "
    "i if in into is isn't it it's its itself just keep kept last later least less let like made make makes many "
    "may me might more most much must my near need never new next no nor not now of off often on once one only "
    "onto or other others our out over own part per put rather really said same say says see seen several shall "
    "she should since so some still such take taken takes than that the their them then there these they this "
    "those though three through thus to together too took toward two under until up upon us use used uses using "
    "very via was way we well went were what when where whether which while who whom whose why will with within "
    "without would yet you your come comes"
)
STOP_WORDS = frozenset(_STOP_WORD_LIST.split())

_AMOUNT_LIST = (
    "two three four five six seven eight nine ten hundred thousand million billion half third quarter per cent percent "
    "hour day week month year today yesterday monday tuesday wednesday thursday friday saturday sunday january "
    "february march april may june july august september october november december kw mw gw kwh mwh gwh km kg "
    "usd eur euro dollar"
)
AMOUNTS = frozenset(_AMOUNT_LIST.split())  # stems that name an amount or a time, not a thing


def plain_text(markup: str, *, limit: int) -> str:
    """Return what a reader would see of HTML or plain text, at most `limit` characters.

    Scripts, styles and embedded objects are dropped with their content; block elements become line ends.
    """
    if not _LOOKS_LIKE_MARKUP.search(markup):
        return clean(markup, limit=limit)
    tree = LexborHTMLParser(f"<body>{markup}")
    root = tree.body
    if root is None:
        return clean(html.unescape(re.sub(r"<[^>]*>", " ", markup)), limit=limit)
    for node in root.css(_UNSEEN):
        node.decompose()
    for node in root.css(_BLOCKS):
        node.insert_before("\n")
        node.insert_after("\n")
    return clean(root.text(deep=True), limit=limit)


def beginning(text: str, limit: int) -> str:
    """Return a text on one line; of one longer than `limit` characters its first whole words and an ellipsis."""
    line = one_line(text)
    if len(line) <= limit:
        return line
    return line[:limit].rsplit(" ", 1)[0].rstrip(" ,;:.–-") + "…"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun in the form that fits, by default the singular and `s`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def clean(text: str, *, limit: int) -> str:
    """Normalise to NFC, drop control and formatting characters, fold white space, cut at `limit` characters.

    Direction marks go too: they could make a printed line read otherwise than it is stored.
    """
    text = unicodedata.normalize("NFC", text[: limit * 4])
    is_plain = text.replace("\n", " ").isprintable()  # most texts are, and looking at each character is slow
    kept = text if is_plain else "".join(_seen(character) for character in text)
    folded = _LINE_ENDS.sub("\n", _SPACES.sub(" ", kept)).strip()
    if len(folded) <= limit:
        return folded
    return folded[: limit - 1].rstrip() + "…"


def _seen(character: str) -> str:
    if character == "\n" or not (category := unicodedata.category(character)).startswith("C"):
        return character
    return "" if category == "Cf" else " "  # a soft hyphen joins, a control character separates


def one_line(text: str) -> str:
    """Return the text with every run of white space as one space."""
    return " ".join(text.split())


def words(text: str) -> list[str]:
    """Return the words in order, in lower case, hyphens taken apart and possessive endings removed."""
    found = []
    for match in _WORD.finditer(text.casefold()):
        word = match.group().replace("’", "'")
        found.append(word.removesuffix("'s"))
    return found


@lru_cache(maxsize=STEMS_REMEMBERED)
def stem(word: str) -> str:
    """Fold English plurals. Source: D. Harman, "How effective is suffixing?", JASIS 42(1), 1991 (S stemmer)."""
    if len(word) < 4:
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")):
        return word[:-1]
    return word


def terms(text: str) -> list[str]:
    """Return the stems of the words that carry meaning: no stop words, no single letters, no bare numbers."""
    return [stem(word) for word in words(text) if len(word) > 1 and word not in STOP_WORDS and not word.isnumeric()]


def sentences(text: str, *, limit: int) -> list[str]:
    """Split into at most `limit` sentences; a line end always ends one, an abbreviation never does."""
    found: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if "\n" not in match.group() and _ends_with_abbreviation(text[start : match.start()]):
            continue
        _append(found, text[start : match.end()])
        start = match.end()
        if len(found) >= limit:
            return found
    _append(found, text[start:])
    return found


def _append(found: list[str], sentence: str) -> None:
    if sentence.strip():
        found.append(one_line(sentence))


def _ends_with_abbreviation(sentence: str) -> bool:
    last = sentence.rsplit(maxsplit=1)[-1].casefold().lstrip('("“„') if sentence.strip() else ""
    return last in _ABBREVIATIONS or (len(last) == 1 and last.isalpha())
