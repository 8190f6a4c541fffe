"""Guesses from sample values what a column is. Every guess says on what it rests, so that people can correct it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from unicodedata import combining, normalize

from tagloom.source_tools.words import CHINESE, CODES, DEVICE, DIRECT, INDIRECT, SHAPE_TITLES, SHAPES

MOST = 0.8
"""Share of values that must look like an e-mail address (phone number ...) before a column is called one."""

ENUMERATION_ROWS = 20
"""So many values a column must have before few different ones are taken for all that there are."""

ENUMERATION_VALUES = 8
"""No more different values than this make a list of allowed ones."""

PATTERN_VALUES = 5
"""So many different values must share a shape before it is taken for a rule."""

SHARED_WORDS = ("id", "name", "type", "code", "number", "no", "value", "date", "time", "status", "title")
"""Last parts of dotted paths that say too little alone."""

TRUE_AND_FALSE = ({"true", "false"}, {"yes", "no"}, {"y", "n"}, {"t", "f"})

DATE_FORMATS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%Y%m%d", "%Y年%m月%d日")
"""Ways to write a day, besides ISO 8601; when two fit, the first is guessed and the other one mentioned."""

TIME_FORMATS = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p")

ISO_DATE = re.compile(r"[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}")
ISO_TIMESTAMP = re.compile(
    r"[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}[T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)?"
)
INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(\.([0-9]{1,10}))?")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass
class ColumnGuess:
    """What a column may be, and why."""

    name: str
    header: str
    type: str
    format: str | None = None
    required: bool = False
    pattern: str | None = None
    personal_data: str = "none"
    identifier_type: str | None = None
    is_unique: bool = False
    distinct: int = 0
    reasons: list[str] = field(default_factory=list)
    """What each guess rests on, for a comment."""


@dataclass(frozen=True)
class KnownIdentifier:
    """A column that an existing declaration calls an identifier."""

    source: str
    column: str
    identifier_type: str
    pattern: str | None


def column_name(header: str, position: int) -> str:
    """A name of lower-case letters, digits and underscores; column_<position> where nothing is left of the header."""
    text = header.strip()
    if re.fullmatch(r"[\w.]+", text):
        parts = text.split(".")
        # customer.name is a customer_name, customer.email an email.
        text = "_".join(parts[-2:] if parts[-1].lower() in SHARED_WORDS else parts[-1:])
    for word in sorted(CHINESE, key=len, reverse=True):
        text = text.replace(word, f" {CHINESE[word]} ")
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    # Letters keep their base: ü becomes u.
    text = "".join(sign for sign in normalize("NFKD", text) if not combining(sign))
    text = re.sub(r"[^a-z0-9]+", "_", text.casefold()).strip("_")
    if not text:
        return f"column_{position}"
    return text if text[0].isalpha() else f"column_{text}"


def column_names(headers: Sequence[str]) -> list[str]:
    """One name for each header, all different."""
    names: list[str] = []
    for position, header in enumerate(headers, start=1):
        name = column_name(header, position)
        if name in names and "." in header:
            name = column_name(header.replace(".", " "), position)
        if name in names:
            name = f"{name}_{position}"
        names.append(name)
    return names


def guess_column(
    name: str,
    header: str,
    values: Sequence[str | None],
    identifier_types: Iterable[str] = (),
    known: Iterable[KnownIdentifier] = (),
    own_type: str | None = None,
) -> ColumnGuess:
    """Guess what a column is from its values as delivered (None: empty).

    `own_type` is the declared type that a typed file (Parquet) gives it; then the text is not asked.
    """
    given = [value for value in values if value is not None]
    counts = Counter(given)
    rows = f"{len(values):,} {'row' if len(values) == 1 else 'rows'}"
    guess = ColumnGuess(name, header, own_type or "text", distinct=len(counts))
    if not given:
        guess.reasons.append(f"empty in all {rows}, so its type is unknown")
        return guess
    guess.is_unique = len(counts) == len(given) == len(values)
    guess.required = len(given) == len(values)
    if guess.is_unique:
        guess.reasons.append(f"unique in {rows}")
    elif guess.required:
        guess.reasons.append(f"never empty in {rows}")
    else:
        guess.reasons.append(f"empty in {len(values) - len(given):,} of {rows}")
    if own_type is None:
        guess.type, guess.format, reason = _type_of(counts, _is_code(name, header))
        if reason:
            guess.reasons.append(reason)
    else:
        guess.reasons.append("typed in the file")
    _guess_person(guess, counts, sum(counts.values()), list(identifier_types), list(known))
    if guess.type == "text" and guess.personal_data != "direct":
        guess.pattern, reason = _pattern_of(counts, guess.identifier_type is not None or _is_code(name, header))
        if reason:
            guess.reasons.append(reason)
    return guess


def _is_code(name: str, header: str) -> bool:
    return bool(set(name.split("_")) & CODES) or any(word in header for word in CODES if not word.isascii())


def _type_of(counts: Counter[str], is_code: bool) -> tuple[str, str | None, str]:
    """(declared type, strptime format or None, reason) that fits every value."""
    texts = [text.strip() for text in counts]
    if {text.lower() for text in texts} in TRUE_AND_FALSE:
        return "boolean", None, "only " + " and ".join(sorted(counts)[:4])
    if all(INTEGER.fullmatch(text) for text in texts):
        return _integer_or_code(texts, is_code)
    if all(DECIMAL.fullmatch(text) for text in texts):
        return _decimal(texts)
    if all(re.fullmatch(r"[0-9]{19,}", text) for text in texts):
        return "text", None, "text, because numbers of so many digits lose some"
    if all(NUMBER.fullmatch(text) for text in texts):
        return "number", None, "all are numbers"
    moments = [text for text in texts if ISO_TIMESTAMP.fullmatch(text)]
    # A workbook writes midnight as a day.
    if moments and all(ISO_TIMESTAMP.fullmatch(text) or ISO_DATE.fullmatch(text) for text in texts):
        return "timestamp", None, _about_zone(moments)
    if all(ISO_DATE.fullmatch(text) for text in texts) and _fits(texts, "%Y/%m/%d" if "/" in texts[0] else "%Y-%m-%d"):
        return "date", None, ""
    dates = [shape for shape in DATE_FORMATS if shape != "%Y%m%d" and _fits(texts, shape)]
    if dates:
        return "date", dates[0], _about_ambiguity(dates)
    timestamps = [
        f"{day}{between}{time}"
        for time in TIME_FORMATS
        for between in (" ", "T")
        for day in (*DATE_FORMATS, "%Y-%m-%d", "%Y/%m/%d")
        if _fits(texts, f"{day}{between}{time}")
    ]
    if timestamps:
        return "timestamp", timestamps[0], _about_ambiguity(timestamps)
    return _type_of_most(counts, is_code)


def _type_of_most(counts: Counter[str], is_code: bool) -> tuple[str, str | None, str]:
    """The type of nearly all values: a sample may hold the very rows that quarantine is for."""
    total = sum(counts.values())
    for fits in (lambda text: ISO_TIMESTAMP.fullmatch(text) or ISO_DATE.fullmatch(text), DECIMAL.fullmatch):
        most = Counter({text: count for text, count in counts.items() if fits(text.strip())})
        if MOST <= most.total() / total < 1:
            kind, shape, reason = _type_of(most, is_code)
            odd = next(text for text in counts if text not in most)
            if kind != "text":
                return (
                    kind,
                    shape,
                    f"{total - most.total():,} of {total:,} values are none, such as {odd!r:.40}; {reason}",
                )
    return "text", None, ""


def _integer_or_code(texts: list[str], is_code: bool) -> tuple[str, str | None, str]:
    example = next((text for text in texts if len(text) > 1 and text.startswith("0")), None)
    if _fits(texts, "%Y%m%d") and all(len(text) == 8 and "1900" <= text[:4] <= "2100" for text in texts):
        return "date", "%Y%m%d", "all are days such as " + texts[0]
    if example:
        return "text", None, "text, because leading zeros count"
    lengths = {len(text) for text in texts}
    if is_code:
        return "text", None, "text, because the name says that its digits are no quantity"
    if len(lengths) == 1 and lengths.pop() >= 9:
        return "text", None, "text, because all have the same nine or more digits"
    return "integer", None, ""


def _decimal(texts: list[str]) -> tuple[str, str | None, str]:
    parts = [DECIMAL.fullmatch(text).group(2) or "" for text in texts]
    scale = max(len(part) for part in parts)
    whole = max(len(text.lstrip("+-").partition(".")[0]) for text in texts)
    same = all(len(part) == scale for part in parts)
    if scale > 4 or not (same or scale <= 2):
        return "number", None, "digits after the point vary"
    # Spreadsheets and JSON write 2.50 as 2.5.
    scale = max(scale, 2)
    return f"decimal({max(12, whole + scale + 4)},{scale})", None, f"at most {scale} digits after the point"


def _fits(texts: list[str], shape: str) -> bool:
    try:
        for text in texts:
            datetime.strptime(text, shape)
    except ValueError:
        return False
    return True


def _about_zone(texts: list[str]) -> str:
    zoned = sum(bool(re.search(r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$", text[16:])) for text in texts)
    if zoned == len(texts):
        return "each says its time zone"
    return "without a time zone: see time_zone" if not zoned else "some say their time zone, some do not"


def _about_ambiguity(shapes: list[str]) -> str:
    others = [shape for shape in shapes[1:] if shape.replace("%d", "%m") == shapes[0].replace("%d", "%m")] or [
        shape for shape in shapes[1:] if sorted(shape) == sorted(shapes[0])
    ]
    return f"all fit, and {others[0]} fits as well: no day above 12 in the sample" if others else "all fit"


def _guess_person(
    guess: ColumnGuess,
    counts: Counter[str],
    total: int,
    identifier_types: list[str],
    known: list[KnownIdentifier],
) -> None:
    """Set personal_data and identifier_type, by values first, then by what other sources say, then by the name."""
    for kind, shape in SHAPES.items():
        share = sum(count for text, count in counts.items() if shape.fullmatch(text.strip())) / total
        if guess.type in ("text", "integer") and share >= MOST:
            guess.type = "text"
            guess.personal_data = "indirect" if kind == DEVICE else "direct"
            guess.reasons.append(f"{share:.0%} are {SHAPE_TITLES[kind]}")
            if kind in identifier_types:
                guess.identifier_type = kind
            return
    if guess.type not in ("text", "integer", "date"):
        return
    for level, meanings in (("direct", DIRECT), ("indirect", INDIRECT)):
        what = next((what for what, words in meanings.items() if _says(guess, words)), None)
        # A count of cards is no card: only codes lead to a person.
        if what and (level == "direct" or guess.type == "text"):
            guess.personal_data = level
            guess.reasons.append(f"the name says {what}")
            break
    _guess_identifier(guess, counts, identifier_types, known)


def _says(guess: ColumnGuess, words: frozenset[str]) -> bool:
    name = f" {guess.name.replace('_', ' ')} "
    return any(f" {word} " in name if word.isascii() else word in guess.header for word in words)


def _guess_identifier(
    guess: ColumnGuess, counts: Counter[str], identifier_types: list[str], known: list[KnownIdentifier]
) -> None:
    for other in known:
        fits = other.pattern is None or all(re.fullmatch(other.pattern, text) for text in counts)
        if other.column == guess.name and fits and other.identifier_type in identifier_types:
            guess.identifier_type = other.identifier_type
            guess.reasons.append(f"{other.source}.yml calls a column of this name {other.identifier_type}")
            break
    else:
        plain = guess.name.removesuffix("_id").removesuffix("_number").removesuffix("_no")
        for kind in identifier_types:
            if kind in (guess.name, plain):
                guess.identifier_type = kind
                guess.reasons.append(f"named like the identifier type {kind}")
                break
        else:
            _guess_by_pattern(guess, counts, identifier_types, known)
    if guess.identifier_type:
        guess.type = "text"
        if guess.personal_data == "none":
            guess.personal_data = "indirect"


def _guess_by_pattern(
    guess: ColumnGuess, counts: Counter[str], identifier_types: list[str], known: list[KnownIdentifier]
) -> None:
    """Codes of one make, such as W000123, are recognised under any name; a handful of values is no proof."""
    if len(counts) < ENUMERATION_VALUES:
        return
    for other in known:
        if other.pattern and other.identifier_type in identifier_types:
            share = sum(bool(re.fullmatch(other.pattern, text)) for text in counts) / len(counts)
            if share >= 0.99:
                guess.identifier_type = other.identifier_type
                guess.reasons.append(f"values look like {other.column} of {other.source}.yml ({other.identifier_type})")
                return


def _pattern_of(counts: Counter[str], is_code: bool) -> tuple[str | None, str]:
    """A regular expression that all values match, where they are codes or one of a few words."""
    total = sum(counts.values())
    if 1 < len(counts) <= ENUMERATION_VALUES and total >= max(ENUMERATION_ROWS, 5 * len(counts)):
        # Codes of things, such as of stores, grow in number; words such as desktop and mobile do not.
        if not is_code and all(re.fullmatch(r"[^\W\d_][\w -]{0,29}", text) for text in counts):
            return "|".join(sorted(counts)), f"only {len(counts)} different values"
        return None, ""
    if len(counts) < PATTERN_VALUES:
        return None, ""
    shapes = {tuple(_runs(text)) for text in counts}
    kinds = {tuple(kind for kind, _ in shape) for shape in shapes}
    if len(kinds) != 1 or not any(kind == "[0-9]" for kind in next(iter(kinds))):
        return None, ""
    lengths = list(zip(*([len(run) for _, run in shape] for shape in shapes), strict=True))
    if not is_code and any(len(set(sizes)) > 1 for sizes in lengths):
        return None, ""
    pattern = ""
    for position, kind in enumerate(next(iter(kinds))):
        runs = {shape[position][1] for shape in shapes}
        if kind != "[0-9]" and len(runs) == 1:
            pattern += re.escape(runs.pop()).replace(r"\-", "-").replace(r"\ ", " ")
            continue
        sizes = set(lengths[position])
        # What has grown from P7 to P301 goes on growing.
        pattern += f"{kind}{{{sizes.pop()}}}" if len(sizes) == 1 else f"{kind}+"
    return pattern, f"all {len(counts):,} different values have this shape"


def _runs(text: str) -> list[tuple[str, str]]:
    """(character class, text) of each run; a character that is neither digit nor plain letter stands for itself."""
    runs = []
    for run in re.findall(r"[0-9]+|[A-Z]+|[a-z]+|.", text, flags=re.DOTALL):
        first = run[0]
        kind = "[0-9]" if first in "0123456789" else "[A-Z]" if "A" <= first <= "Z" else "[a-z]"
        if not (first.isascii() and first.isalnum()):
            kind = re.escape(first)
        runs.append((kind, run))
    return runs
