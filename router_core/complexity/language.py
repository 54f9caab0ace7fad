"""The language of a text, guessed from its script and its commonest words, where the caller did not say."""

from __future__ import annotations

_SCRIPTS: tuple[tuple[str, str, str], ...] = (
    # (first, last, language); kana before Han, since Japanese writes both
    ("\u3040", "\u30ff", "ja"),
    ("\uac00", "\ud7af", "ko"),
    ("\u4e00", "\u9fff", "zh"),
    ("\u0400", "\u04ff", "ru"),
    ("\u0600", "\u06ff", "ar"),
    ("\u0590", "\u05ff", "he"),
    ("\u0370", "\u03ff", "el"),
    ("\u0900", "\u097f", "hi"),
    ("\u0e00", "\u0e7f", "th"),
)
_COMMON_WORDS = {
    "en": "the of and to is in that it for you with this what are be have not from how can",
    "de": "der die das und ist nicht ich ein eine zu den mit auf für sie wie von dem es kann",
    "fr": "le la les des et est une un pour dans que qui pas vous je sur avec ce comment du",
    "es": "el la los las de que y en un una es por con para no como se del más qué",
    "it": "il la di che e un una per non con sono come del della gli è mi questo anche nel",
    "pt": "o a os as de que e um uma para não com como do da em é se por você",
    "nl": "de het een en van is niet ik dat te op voor met zijn wat hoe je er ook aan",
}
_LANGUAGES_OF: dict[str, tuple[str, ...]] = {}
for _language, _words in _COMMON_WORDS.items():
    for _word in _words.split():
        _LANGUAGES_OF[_word] = (*_LANGUAGES_OF.get(_word, ()), _language)


def guess_language(text: str) -> str:
    """Return a two-letter language code, or "" where the text gives too little to go by.

    A fifth of the letters in one script decides; otherwise the language with most common words among the first
    200, which must be a clear winner. Meant for rules, which a caller can always overrule by naming the language.
    """
    sample = text[:1_000]
    letters = sum(character.isalpha() for character in sample)
    if not letters:
        return ""
    if not sample.isascii():
        for first, last, language in _SCRIPTS:
            if sum(first <= character <= last for character in sample) * 5 >= letters:
                return language
    votes: dict[str, float] = {}
    for word in sample.lower().split()[:200]:
        languages = _LANGUAGES_OF.get(word.strip(".,;:!?()\"'«»¿¡"), ())
        for language in languages:
            votes[language] = votes.get(language, 0.0) + 1 / len(languages)
    ranked = sorted(votes.items(), key=lambda vote: -vote[1])
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return ""
    return ranked[0][0]
