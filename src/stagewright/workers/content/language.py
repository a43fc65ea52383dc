"""Which language a text is in, told by its most frequent small words. Pure functions.

Source: G. Grefenstette, "Comparing two language identification schemes", JADT 1995: counting short, frequent words
is as good as letter trigrams from about fifteen words on. Letters that few languages use help with shorter texts,
and scripts of their own decide at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from stagewright.workers.content.text import words

UNKNOWN = "und"  # ISO 639-2 code for an undetermined language
CHARS_READ = 3_000  # more text does not change the answer
_EVIDENCE_MIN = 2.0  # about two words that only one language has
_MARGIN = 1.2  # the best must be ahead of the second by this factor

_SMALL_WORDS = {
    "en": "the of and to in is that for was with as on by at from it be are this has have not which its their will "
    "but were an or been more than after would they said who can also",
    "de": "der die und das den von zu mit ist im für auf des dem ein eine nicht als auch es an werden aus bei sich "
    "nach wird sind einer um am noch wie über hat einen zum zur oder durch mehr kann soll wurde bis",
    "fr": "le la les de des du et en un une est que qui dans pour par sur au aux ce cette avec pas plus sont il elle "
    "ne se ont été mais ou leur ses son sa être entre après comme nous",
    "es": "el la los las de del y en un una es que por para con se al lo como más su sus no son fue ha este esta "
    "entre pero desde también ya hasta sobre muy cuando años está",
    "it": "il la le gli i di del della dei delle e in un una è che per con non si al alla da dal nel nella sono come "
    "più anche ha ma questo questa tra fra dopo essere stato",
    "pt": "o a os as de do da dos das e em um uma é que por para com não se no na nos nas ao à mais como sua seu são "
    "foi pela pelo também entre mas após já até está",
    "nl": "de het een en van in is op te dat die voor met zijn niet aan er om ook als door naar bij uit tot over maar "
    "nog wordt worden meer dan deze dit heeft hebben werd zich kan",
    "sv": "och att det i en som på är av för med den till inte har de ett om var från vi men sig så kan när under "
    "också eller efter ska mer vid detta blir",
    "da": "og at det i en som på er af for med den til ikke har de et om var fra vi men sig så kan når efter også "
    "eller skal mere ved dette bliver blev hvor mellem",
    "nb": "og at det i en som på er av for med den til ikke har de et om var fra vi men seg så kan når etter også "
    "eller skal mer ved dette blir ble hvor mellom",
    "fi": "ja on ei se että oli hän mutta ovat kun myös joka niin kuin tai sen ole mukaan jos olla vuonna jälkeen "
    "ovat voi sekä kanssa mitä tämä",
    "pl": "i w na z do się nie to że jest o jak po co od za przez dla oraz ale są był być tym ich może także ma już "
    "tego roku które który",
    "cs": "a v se na je že s z do o to i ve pro za by ale po jako od jsou si tak jeho které který být také má až při "
    "podle roku bude nebo",
    "hu": "a az és hogy nem is egy ez meg volt de csak el már még kell mint vagy van lesz ami akkor azt ezt után "
    "szerint több lehet között",
    "ro": "și de la în a cu pe un o din pentru care este nu mai că au fost ce se sau dar prin după sunt fi ca lui "
    "între această",
    "tr": "ve bir bu da de için ile olarak çok daha olan gibi en ne var kadar sonra ama o her göre ise değil oldu "
    "olduğu tarafından",
    "ru": "и в не на что с как по это из к за от у о для был но же так все его она они быть также или при если "
    "года после",
    "uk": "і в не на що з як по це із до за від у о для був але та його вона вони бути також або при якщо року після",
}
_SMALL_WORD_SETS = {language: frozenset(text.split()) for language, text in _SMALL_WORDS.items()}


def _weights() -> dict[str, dict[str, float]]:
    """Return for each small word the languages that have it; a word that three share counts a third for each."""
    owners: dict[str, list[str]] = {}
    for language, own in _SMALL_WORD_SETS.items():
        for word in own:
            owners.setdefault(word, []).append(language)
    return {word: {language: 1.0 / len(shared) for language in shared} for word, shared in owners.items()}


_WEIGHTS = _weights()

_LETTERS = {
    "ß": "de", "ñ": "es", "¿": "es", "ã": "pt", "õ": "pt", "œ": "fr", "ù": "fr", "ł": "pl", "ż": "pl", "ś": "pl",
    "ř": "cs", "ě": "cs", "ů": "cs", "ő": "hu", "ű": "hu", "ș": "ro", "ț": "ro", "ă": "ro", "ğ": "tr", "ı": "tr",
    "ї": "uk", "є": "uk", "ґ": "uk", "ы": "ru", "э": "ru",
}  # fmt: skip
_LETTER_WEIGHT = 0.5
_LETTERS_COUNTED = 4  # of one letter; a name that is repeated must not decide

_SCRIPTS = (
    (0x0370, 0x03FF, "el"),
    (0x0590, 0x05FF, "he"),
    (0x0600, 0x06FF, "ar"),
    (0x3040, 0x30FF, "ja"),
    (0xAC00, 0xD7AF, "ko"),
    (0x4E00, 0x9FFF, "zh"),
)
_SCRIPT_SHARE = 0.3  # of all letters; Japanese text is about half kana


def detect(text: str, declared: str | None = None) -> str:
    """Return a two-letter code, or `und` where the text is too short and nothing usable is declared.

    `declared` is what the feed says (such as `en-GB`); it decides only where the text itself does not.
    """
    scripted = _by_script(text)
    if scripted:
        return scripted
    scores = _scores(text)
    ranked = sorted(scores.items(), key=lambda item: -item[1])[:2]
    if ranked and ranked[0][1] >= _EVIDENCE_MIN:
        runner_up = ranked[1][1] if len(ranked) > 1 else 0.0
        if ranked[0][1] >= runner_up * _MARGIN:
            return ranked[0][0]
    return _code(declared) or UNKNOWN


def small_words(language: str) -> frozenset[str]:
    """Return the words of a language that carry no meaning by themselves; empty where it is not known."""
    return _SMALL_WORD_SETS.get(language, frozenset())


def _scores(text: str) -> dict[str, float]:
    scores: dict[str, float] = defaultdict(float)
    for word in words(text[:CHARS_READ]):
        for language, weight in _WEIGHTS.get(word, {}).items():
            scores[language] += weight
    letters = Counter(text[:CHARS_READ].casefold())
    for letter, language in _LETTERS.items():
        if letters[letter]:
            scores[language] += _LETTER_WEIGHT * min(letters[letter], _LETTERS_COUNTED)
    return scores


def _by_script(text: str) -> str | None:
    counts: Counter[str] = Counter()
    letters = 0
    for character in text[:2000]:
        if not character.isalpha():
            continue
        letters += 1
        point = ord(character)
        if point < 0x0370:
            continue
        for low, high, language in _SCRIPTS:
            if low <= point <= high:
                counts[language] += 1
    if counts["ja"] and counts["zh"]:
        counts["ja"] += counts.pop("zh")  # kanji lie in the same block as Chinese; kana tells the two apart
    best = counts.most_common(1)
    return best[0][0] if best and best[0][1] > _SCRIPT_SHARE * letters else None


def _code(declared: str | None) -> str | None:
    head = (declared or "").strip().casefold().replace("_", "-").split("-")[0]
    return head if len(head) == 2 and head.isascii() and head.isalpha() else None
