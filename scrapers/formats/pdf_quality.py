"""How well the text layer of a page reads: shares of garbage, odd glyphs, single letters and broken words.

What counts as no word follows the rules of Taghva, Nartker, Condit and Borsack, "Automatic removal of 'garbage
strings' in OCR text: an implementation" (SCI 2001), as far as they hold for born-digital clinical text:
over 40 characters; a character four times in a row; no vowel in over 4 letters in lower case, 5 vowels or
7 consonants in a row; a capital after a small letter inside more than 3 alternations. Numbers, units and abbreviations
in capitals are not judged. The weights are ours: no page of a real PDF was at hand to fit them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_LONGEST = 40
_ODD = re.compile("[\ufffd\ufffe\ufeff\ue000-\uf8ff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u25a1\u25af]|\\(cid:\\d+\\)")
_TOKEN = re.compile(r"\S+")
_LETTERS = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_REPEAT = re.compile(r"([^\W\d_])\1{3}")
_VOWELS = re.compile(r"[aeiouy\u00e0-\u00e6\u00e8-\u00ef\u00f2-\u00f6\u00f8-\u00fc]", re.I)
_RUNS = re.compile(r"[aeiou]{5}|[bcdfghjklmnpqrstvwxz]{7}", re.I)
_CASES = re.compile(r"[a-z][A-Z]")
_ALONE = frozenset("aAIoOéyeuà")
_LIST_LETTER = re.compile(r"^\(?[^\W\d_][.)]$")
# Of letters of alphabets: a character of Chinese or Japanese is a word.
_BROKEN = re.compile(
    r"(?<![^\W\d_])(?![\u2e80-\U0003ffff])[^\W\d_](?: (?![\u2e80-\U0003ffff])[^\W\d_]){3,}(?![^\W\d_])"
)
_CLEARLY = 20
_SHORT = re.compile(r"(?<![^\W_])[a-z\u00df-\u00ff]{2,4}(?![^\W_])")
_FEWEST_SHORT = 20
_KNOWN = 0.25
# Short words of every page of prose in the languages of guidelines, and units.
_COMMON = frozenset(
    [
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "can",
        "did",
        "do",
        "each",
        "for",
        "from",
        "had",
        "has",
        "have",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "may",
        "no",
        "not",
        "of",
        "on",
        "one",
        "or",
        "our",
        "out",
        "per",
        "than",
        "that",
        "the",
        "them",
        "then",
        "they",
        "this",
        "to",
        "two",
        "up",
        "use",
        "used",
        "via",
        "was",
        "we",
        "were",
        "when",
        "who",
        "will",
        "with",
        "you",
        "all",
        "any",
        "both",
        "been",
        "more",
        "most",
        "only",
        "same",
        "some",
        "such",
        "very",
        "does",
        "over",
        "case",
        "mean",
        "rate",
        "risk",
        "days",
        "day",
        "year",
        "age",
        "dose",
        "data",
        "test",
        "study",
        "vs",
        "mg",
        "kg",
        "ml",
        "mm",
        "cm",
        "min",
        "iu",
        "mmol",
        "hz",
        "see",
        "et",
        "al",
        "fig",
        "ref",
        "ng",
        "pg",
        "dl",
        "pp",
        "ed",
        "eds",
        "vol",
        "au",
        "aux",
        "avec",
        "ce",
        "ces",
        "dans",
        "de",
        "des",
        "du",
        "elle",
        "en",
        "est",
        "et",
        "il",
        "ils",
        "la",
        "le",
        "les",
        "leur",
        "lors",
        "mais",
        "ne",
        "ou",
        "par",
        "pas",
        "pour",
        "que",
        "qui",
        "sa",
        "sans",
        "ses",
        "son",
        "sont",
        "sous",
        "sur",
        "un",
        "une",
        "der",
        "die",
        "das",
        "den",
        "dem",
        "des",
        "und",
        "ist",
        "im",
        "von",
        "zu",
        "mit",
        "auf",
        "ein",
        "eine",
        "als",
        "auch",
        "aus",
        "bei",
        "bis",
        "nach",
        "nur",
        "oder",
        "sich",
        "sie",
        "sind",
        "vor",
        "wie",
        "zum",
        "zur",
        "el",
        "los",
        "las",
        "una",
        "uno",
        "con",
        "del",
        "por",
        "para",
        "se",
        "su",
        "sus",
        "al",
        "como",
        "lo",
        "o",
        "y",
        "e",
        "a",
        "os",
        "as",
        "no",
        "na",
        "da",
        "do",
        "dos",
        "das",
        "em",
        "um",
        "uma",
        "com",
        "ao",
        "il",
        "lo",
        "gli",
        "di",
        "che",
        "non",
        "per",
        "del",
        "nel",
        "una",
        "sono",
        "alla",
        "con",
        "dal",
        "het",
        "een",
        "van",
        "op",
        "te",
        "aan",
        "bij",
        "niet",
        "voor",
        "zijn",
        "och",
        "som",
        "att",
        "av",
        "med",
        "till",
        "det",
        "er",
        "og",
        "til",
        "ikke",
        "fra",
    ]
)


@dataclass(frozen=True, slots=True)
class PageQuality:
    """What the text of one page looks like. Shares are 0 to 1; a page without words has score 0."""

    words: int
    word_like: float
    """Of the words, those that could be one in a language in Latin letters, or that are in another script."""
    odd_glyphs: float
    """Of the characters, those without a meaning: U+FFFD, private use, controls, `(cid:7)`."""
    one_letter: float
    """Of the words, single letters that are no word in English or French and no mark of a list."""
    broken: float
    """Of the words, letters of words set apart, `d o s e`."""
    common: float
    """Of the words in 2 to 4 small Latin letters, those every page has; 1 with under 20 of them, as in tables."""
    score: float
    """word_like x (1 - 5 odd_glyphs) x (1 - 2 one_letter) x (1 - 2 broken), each factor at least 0, and
    x common / 0.25 below that: letters mapped to others still look like words."""


def page_quality(text: str) -> PageQuality:
    """The quality of the text of one page.

    >>> page_quality("Give 5 mg of the drug once daily.").score
    1.0
    """
    tokens = _TOKEN.findall(text)
    characters = sum(map(len, tokens))
    words = [found[0] for token in tokens if not _LIST_LETTER.match(token) and (found := _LETTERS.search(token))]
    if not tokens:
        return PageQuality(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    odd = sum(len(found) for found in _ODD.findall(text)) / characters
    like = sum(map(_word_like, words)) / len(words) if words else 1.0
    alone = sum(len(token) == 1 and token.isalpha() and token < "\u2e80" and token not in _ALONE for token in tokens)
    apart = sum(len(found.split()) for found in _BROKEN.findall(text))
    n = max(len(words), _CLEARLY)
    one, broken = min(1.0, max(0, alone - apart) / n), min(1.0, apart / n)
    score = like * max(0.0, 1 - 5 * odd) * max(0.0, 1 - 2 * one) * max(0.0, 1 - 2 * broken)
    short = _SHORT.findall(text)
    common = sum(word in _COMMON for word in short) / len(short) if len(short) >= _FEWEST_SHORT else 1.0
    return PageQuality(len(words), like, min(1.0, odd), one, broken, common, score * min(1.0, common / _KNOWN))


@lru_cache(maxsize=1 << 15)
def _word_like(word: str) -> bool:
    if len(word) > _LONGEST or _REPEAT.search(word) or _RUNS.search(word) or len(_CASES.findall(word)) > 3:
        return False
    latin = word.isascii() or all(ord(letter) < 0x250 for letter in word if letter.isalpha())
    return not (latin and len(word) > 4 and word.islower() and not _VOWELS.search(word))
