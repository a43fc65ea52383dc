"""What kind of news an article is: a small taxonomy that fits any field. Pure functions.

A label counts the different words of its list that an article has, those of the title three times, so that one word
repeated often does not decide.
"""

from __future__ import annotations

from stagewright.workers.content.text import stem, words

OTHER = "Other"
LABELS_MAX = 2  # for one article
_SCORE_MIN = 2.0
_SECOND_SHARE = 0.6  # of the best score that a second label needs
_TITLE_WEIGHT = 3.0
_CHARS_READ = 4_000

_LISTS = {
    "Projects & deployment": "commissioned|commissioning|under construction|construction|came online|goes live|"
    "energised|grid connection|planning permission|groundbreaking|installed|installation|rollout|pilot|built|"
    "substation|site|phase|opened|inbetriebnahme|großspeicher|baustart|projekt|anschluss",
    "Technology & research": "research|researcher|laboratory|prototype|study|university|scientist|chemistry|"
    "efficiency|electrolyte|anode|cathode|breakthrough|patent|algorithm|experiment|peer review|measurement|"
    "density|simulation|test|testing|trial|demonstration|degradation|cycle life|forschung|studie|universität",
    "Policy & regulation": "regulator|regulation|ministry|minister|law|legislation|rule|subsidy|consultation|"
    "government|licence|license|compliance|court|parliament|directive|tax credit|permit|mandate|senate|policy|"
    "gesetz|behörde|netzentgelte|genehmigung|verordnung|netzentgelt|förderung",
    "Finance & deals": "funding|investor|investment|loan|acquire|acquisition|acquired|merger|equity|debt|series|"
    "valuation|financing|fund|revenue|profit|stake|shareholder|lender|bond|refinancing|deal|raised|billion|million|"
    "finanzierung|übernahme|investoren|darlehen",
    "Markets & prices": "price|auction|bid|arbitrage|spread|trading|wholesale|tender|ancillary service|"
    "capacity market|frequency response|merchant|forecast|demand|cheaper|contract|tolling|saturation|curtailment|"
    "preis|markt|strommarkt|auktion|regelleistung|erlöse",
    "Supply chain & materials": "lithium|cobalt|nickel|graphite|sodium|vanadium|factory|gigafactory|supplier|"
    "shortage|import|export|mine|mining|raw material|shipment|recycling|recycler|supply chain|cell production|"
    "refinery|lieferkette|werk",
    "Safety & incidents": "fire|incident|thermal runaway|explosion|outage|blackout|recall|safety|evacuated|injury|"
    "firefighter|gas detection|smoke|alarm|root cause|fault|accident|brand|feuerwehr|störung",
    "Security & privacy": "vulnerability|malware|cyberattack|hacker|ransomware|firmware|data breach|encryption|"
    "cybersecurity|remote access|exploit|password|advisory",
    "Products & launches": "launch|launched|unveil|unveiled|product|release|released|feature|version|range|"
    "introduces|warranty|enclosure|container|available from|model year|vorgestellt",
    "People & organisations": "appoint|appointed|chief executive|resign|resigned|hire|hiring|layoff|union|board|"
    "staff|apprentice|training|job|founder|director|workforce|geschäftsführer",
    "Environment & society": "emission|carbon|climate|resident|community|biodiversity|noise|wildlife|landscape|"
    "farmland|neighbour|petition|water|heat wave|anwohner|lärm|klima",
}
LABELS = tuple(_LISTS)


def _phrases(listed: str) -> tuple[str, ...]:
    return tuple(f" {' '.join(map(stem, words(phrase)))} " for phrase in listed.split("|"))


_PHRASES = {label: _phrases(listed) for label, listed in _LISTS.items()}


def labels_of(*, title: str, text: str) -> list[str]:
    """Return one or two labels, best first, or none where no list is matched well enough."""
    head = _stems(title)
    whole = head + _stems(text)
    scores = {
        label: sum(_TITLE_WEIGHT if phrase in head else 1.0 for phrase in phrases if phrase in whole)
        for label, phrases in _PHRASES.items()
    }
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    best = ranked[0][1]
    if best < _SCORE_MIN:
        return []
    floor = max(_SCORE_MIN, best * _SECOND_SHARE)
    return [label for label, score in ranked[:LABELS_MAX] if score >= floor]


def _stems(text: str) -> str:
    return f" {' '.join(map(stem, words(text[:_CHARS_READ])))} "
