"""The catalogue of made-up functions: verbs × nouns over many domains, each with a signature fixed by its name."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

SPLIT_SHARES = {"warmup": 70, "train": 20, "test": 10}
"""Percentage of all functions that each split may use."""

CITIES = (
    "Paris",
    "Rome",
    "Berlin",
    "Madrid",
    "Vienna",
    "Oslo",
    "Lisbon",
    "Dublin",
    "Prague",
    "Athens",
    "Cairo",
    "Lima",
)
NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ivan", "Julia", "Karl", "Laura", "Olga")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "June", "July", "August", "September", "October", "November")
LANGUAGES = ("French", "German", "Spanish", "Italian", "Polish", "Greek", "Hindi", "Arabic")
TOPICS = ("music", "history", "science", "cooking", "football", "politics", "gardening", "space", "money", "health")
COLORS = ("red", "blue", "green", "black", "white", "yellow", "brown", "purple")
FORMATS = ("pdf", "csv", "xml", "text", "html", "json")
CURRENCIES = ("dollars", "euros", "pounds", "yen", "rupees", "francs")
BRANDS = ("Acme", "Zenith", "Orion", "Nova", "Atlas", "Delta", "Vertex", "Lumen")
STATES = ("open", "closed", "pending", "new", "late", "paid")
LEVELS = ("easy", "medium", "hard", "low", "high")


@dataclass(frozen=True, slots=True)
class Unit:
    """A larger unit in which queries mostly give a parameter's value: the call has to convert it."""

    words: str
    """The unit in words: `weeks`."""
    own: str
    """The parameter's own unit: `days`."""
    factor: int
    """How many of its own units one larger unit is."""
    most: int
    """The highest count of larger units; the lowest is 2."""
    wording: str
    """The words of a query around the count."""

    def count(self, value: int) -> int | None:
        """The count of larger units that a query gives for this value, or None if it gives the value itself.

        >>> week = Unit("weeks", "days", 7, 12, "for {} weeks")
        >>> week.count(21), week.count(20), week.count(7)
        (3, None, None)
        """
        count, left = divmod(value, self.factor)
        return count if not left and 2 <= count <= self.most else None


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """One parameter: its definition, its wording in a query, and its possible values."""

    name: str
    type: str
    """As the data set writes it: `str`, `int`, `float`, `bool`, `List[int]`, `List[str]`."""
    description: str
    wording: str
    """The words of a query around the value; of a `bool` the words for true and for false."""
    draw: Callable[[random.Random], Any]
    default: Any = None
    """The definition's default if the parameter is optional."""
    unit: Unit | None = None
    """The larger unit that queries mostly use for a value that is a whole count of it."""


def _one_of(values: tuple[str, ...]) -> Callable[[random.Random], str]:
    return lambda rng: rng.choice(values)


def _whole(low: int, high: int) -> Callable[[random.Random], int]:
    return lambda rng: rng.randint(low, high)


def _tenths(low: int, high: int) -> Callable[[random.Random], float]:
    """A number with one decimal that is not whole, so its type is visible in the query."""
    return lambda rng: rng.randint(low, high - 1) + rng.randint(1, 9) / 10


def _several(values: tuple[Any, ...]) -> Callable[[random.Random], list[Any]]:
    return lambda rng: rng.sample(values, rng.randint(2, 3))


CONVERTED = 0.85
"""Share of a measured parameter's values that a query gives in the larger unit."""


def _measured(
    name: str, description: str, own: str, unit: str, factor: int, most: int, default: int, wording: str = "for {}"
) -> Parameter:
    """A parameter in a unit of its own, `own`, that queries mostly give in a larger one."""
    larger = Unit(unit, own, factor, most, wording.format(f"{{}} {unit}"))

    def draw(rng: random.Random) -> int:
        if rng.random() < CONVERTED:
            return factor * rng.randint(2, most)
        while larger.count(value := rng.randint(2, 30)) is not None:
            pass
        return value

    return Parameter(name, "int", description, wording.format(f"{{}} {own}"), draw, default, larger)


def _truth(rng: random.Random) -> bool:
    return rng.random() < 0.5


_ALL = (
    Parameter("city", "str", "The city.", "in {}", _one_of(CITIES), "London"),
    Parameter("origin", "str", "Where it starts.", "from {}", _one_of(CITIES), "London"),
    Parameter("destination", "str", "Where it ends.", "to {}", _one_of(CITIES), "London"),
    Parameter("day", "str", "The day of the week.", "on {}", _one_of(DAYS), "today"),
    Parameter("month", "str", "The month.", "during {}", _one_of(MONTHS), "May"),
    Parameter("language", "str", "The language.", "in {}", _one_of(LANGUAGES), "English"),
    Parameter("topic", "str", "What it is about.", "about {}", _one_of(TOPICS), "news"),
    Parameter("person", "str", "Whom it is for.", "for {}", _one_of(NAMES), "me"),
    Parameter("author", "str", "Who made it.", "by {}", _one_of(NAMES), "anyone"),
    Parameter("brand", "str", "The maker.", "made by {}", _one_of(BRANDS), "any"),
    Parameter("color", "str", "The colour.", "colored {}", _one_of(COLORS), "any"),
    Parameter("status", "str", "The status.", "marked {}", _one_of(STATES), "any"),
    Parameter("level", "str", "The level.", "of level {}", _one_of(LEVELS), "any"),
    Parameter("format", "str", "The file format.", "as {}", _one_of(FORMATS), "text"),
    Parameter("currency", "str", "The currency.", "paid in {}", _one_of(CURRENCIES), "dollars"),
    Parameter("id", "int", "Its number.", "number {}", _whole(1, 299), 0),
    _measured("days", "How long, in days.", "days", "weeks", 7, 12, 1),
    _measured("hours", "How long, in hours.", "hours", "days", 24, 10, 1),
    _measured("minutes", "How long, in minutes.", "minutes", "hours", 60, 9, 30),
    _measured("guests", "How many guests, each person counted.", "guests", "couples", 2, 12, 1, "with {}"),
    _measured("pieces", "How many single pieces.", "pieces", "dozen", 12, 12, 1, "{}"),
    _measured("max_cents", "The highest price, in cents.", "cents", "dollars", 100, 12, 5000, "under {}"),
    _measured("meters", "The distance, in meters.", "meters", "kilometers", 1000, 12, 500, "within {}"),
    _measured("grams", "The weight, in grams.", "grams", "kilos", 1000, 12, 500, "weighing {}"),
    Parameter("year", "int", "The year.", "of the year {}", _whole(1950, 2025), 2026),
    Parameter("limit", "int", "The most results.", "at most {}", _whole(2, 50), 10),
    Parameter("page", "int", "The page of results.", "on page {}", _whole(2, 40), 1),
    Parameter("radius", "float", "The distance in miles.", "within {} miles", _tenths(1, 60), 5.0),
    Parameter("rating", "float", "The lowest rating.", "rated over {}", _tenths(1, 5), 0.0),
    Parameter("weight", "float", "The weight in kilos.", "weighing {} kilos", _tenths(1, 90), 1.0),
    Parameter("rate", "float", "The rate in percent.", "at {} percent", _tenths(1, 20), 2.5),
    Parameter("details", "bool", "Whether to give details.", "with details|without details", _truth, False),
    Parameter("urgent", "bool", "Whether it is urgent.", "at once|without hurry", _truth, False),
    Parameter("numbers", "List[int]", "The numbers to use.", "over {}", _several(tuple(range(1, 100))), []),
    Parameter("tags", "List[str]", "The tags it must have.", "tagged {}", _several(TOPICS), []),
    Parameter("colors", "List[str]", "The colours.", "in the colors {}", _several(COLORS), []),
)
PARAMETERS = {parameter.name: parameter for parameter in _ALL}


@dataclass(frozen=True, slots=True, eq=False)
class Verb:
    """What functions do: their name's first word, a query's words for it, and a parameter it may bring."""

    name: str
    words: tuple[str, ...]
    brings: str | None = None


VERBS = {
    "facts": (
        Verb("get", ("Get", "Show me", "Tell me")),
        Verb("check", ("Check", "Have a look at")),
        Verb("track", ("Track", "Follow"), "days"),
        Verb("predict", ("Predict", "Foresee"), "month"),
        Verb("export", ("Export", "Save"), "format"),
        Verb("explain", ("Explain", "Make clear"), "language"),
        Verb("chart", ("Chart", "Draw"), "details"),
        Verb("log", ("Log", "Note down"), "day"),
    ),
    "things": (
        Verb("find", ("Find", "Search for", "Look for"), "limit"),
        Verb("book", ("Book", "Reserve"), "day"),
        Verb("cancel", ("Cancel", "Call off"), "urgent"),
        Verb("list", ("List", "Name"), "page"),
        Verb("rate", ("Rate", "Judge"), "rating"),
        Verb("count", ("Count", "Say how often there is"), "status"),
        Verb("order", ("Order", "Buy"), "pieces"),
        Verb("update", ("Update", "Change"), "id"),
    ),
    "texts": (
        Verb("read", ("Read", "Open"), "page"),
        Verb("write", ("Write", "Compose"), "topic"),
        Verb("translate", ("Translate", "Put into other words"), "language"),
        Verb("send", ("Send", "Mail"), "person"),
        Verb("delete", ("Delete", "Throw away"), "id"),
        Verb("archive", ("Archive", "Put away"), "tags"),
        Verb("print", ("Print", "Put on paper"), "pieces"),
        Verb("share", ("Share", "Pass on"), "urgent"),
    ),
    "sums": (
        Verb("calculate", ("Calculate", "Work out"), "details"),
        Verb("estimate", ("Estimate", "Guess"), "year"),
        Verb("round", ("Round", "Even out")),
        Verb("convert", ("Convert", "Exchange"), "currency"),
        Verb("verify", ("Verify", "Prove"), "urgent"),
        Verb("plot", ("Plot", "Sketch"), "colors"),
    ),
}
"""Verbs by the kind of noun that they go with; no two share a query's words."""

NOUNS = {
    "weather": {"facts": {"weather": "city day", "wind": "city days", "tide": "city month", "rainfall": "city year"}},
    "traffic": {"facts": {"traffic": "city day", "route": "origin destination", "distance": "origin destination"}},
    "markets": {"facts": {"stock": "brand days", "gold": "currency year", "inflation": "year month"}},
    "sports": {"facts": {"score": "day city", "ranking": "year limit", "record": "person year"}},
    "body": {"facts": {"sleep": "person days", "pulse": "person day", "diet": "person level"}},
    "sky": {"facts": {"eclipse": "year city", "orbit": "year level", "moonrise": "city day"}},
    "energy": {"facts": {"battery": "brand days", "fuel": "city currency", "solar": "city radius"}},
    "travel": {
        "things": {"flight": "origin destination max_cents", "hotel": "city guests rating", "cruise": "month guests"}
    },
    "rides": {"things": {"taxi": "origin destination", "train": "origin destination day", "bike": "color city"}},
    "food": {
        "things": {
            "restaurant": "city meters",
            "pizza": "max_cents pieces",
            "cake": "person grams",
            "wine": "color year",
        }
    },
    "shop": {
        "things": {
            "phone": "brand max_cents",
            "shirt": "color brand",
            "lamp": "brand max_cents",
            "parcel": "grams destination",
        }
    },
    "home": {"things": {"house": "city max_cents", "garage": "city meters", "sofa": "colors brand"}},
    "events": {"things": {"concert": "city day", "museum": "city rating", "party": "person guests"}},
    "work": {"things": {"job": "city level", "meeting": "person day", "task": "person status"}},
    "school": {"things": {"course": "topic level", "exam": "topic day", "teacher": "topic language"}},
    "pets": {"things": {"dog": "color grams", "vet": "city meters", "kennel": "city days"}},
    "garden": {"things": {"tree": "grams color", "rose": "colors pieces", "fence": "color max_cents"}},
    "mail": {"texts": {"email": "person topic", "letter": "author id", "card": "person color"}},
    "news": {"texts": {"article": "topic author", "headline": "topic day", "poll": "topic year"}},
    "books": {"texts": {"book": "author year", "poem": "author language", "story": "topic tags"}},
    "files": {"texts": {"report": "id format", "invoice": "id status", "contract": "person id"}},
    "web": {"texts": {"blog": "id language", "comment": "author id", "recipe": "topic level"}},
    "law": {"texts": {"permit": "city id", "patent": "author year", "verdict": "year status"}},
    "clinic": {"texts": {"diagnosis": "person level", "prescription": "person days"}},
    "algebra": {"sums": {"sum": "numbers", "average": "numbers", "median": "numbers", "product": "numbers"}},
    "money": {"sums": {"interest": "rate days", "loan": "rate year", "tax": "rate person", "budget": "person month"}},
    "shapes": {"sums": {"area": "radius", "volume": "radius weight", "angle": "numbers"}},
    "physics": {"sums": {"force": "weight rate", "speed": "radius days", "heat": "weight level"}},
    "statistics": {"sums": {"variance": "numbers", "trend": "year rate", "risk": "rate level"}},
}
"""Domain → kind → noun → the parameters it may bring, the first of them always."""

MEASURES = {
    "facts": ("days", "hours", "minutes"),
    "things": ("hours", "guests", "pieces", "max_cents", "meters"),
    "texts": ("days", "minutes", "pieces"),
    "sums": ("hours", "meters", "grams"),
}
"""The measured parameters that functions of a kind may get instead of another."""
MEASURED = 0.7
"""Share of functions that get one of these, among those without a measured parameter of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function on offer."""

    domain: str
    verb: Verb
    noun: str
    required: tuple[Parameter, ...]
    optional: tuple[Parameter, ...]

    @property
    def name(self) -> str:
        return f"{self.verb.name}_{self.noun}"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.required + self.optional

    def definition(self) -> dict[str, Any]:
        """The function as a row's `tools` hold it."""
        required = {each.name: {"description": each.description, "type": each.type} for each in self.required}
        optional = {
            each.name: {"description": each.description, "type": f"{each.type}, optional", "default": each.default}
            for each in self.optional
        }
        description = f"{self.verb.words[0]} the {self.noun} ({self.domain})."
        return {"name": self.name, "description": description, "parameters": {**required, **optional}}


def split_of(name: str) -> str:
    """The one split that a function belongs to: its name is hashed, so no two splits share a function."""
    import hashlib  # imported here: it loads OpenSSL, and a verifier needs no rows

    bucket = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 100
    for split, share in SPLIT_SHARES.items():
        if bucket < share:
            return split
        bucket -= share
    raise AssertionError("the shares of the splits add up to 100")


@cache
def functions(split: str) -> tuple[Function, ...]:
    """All functions of a split, in a fixed order."""
    every = (
        _function(domain, kind, verb, noun, tuple(names.split()))
        for domain, kinds in NOUNS.items()
        for kind, nouns in kinds.items()
        for noun, names in nouns.items()
        for verb in VERBS[kind]
    )
    return tuple(function for function in every if split_of(function.name) == split)


def _function(domain: str, kind: str, verb: Verb, noun: str, names: tuple[str, ...]) -> Function:
    """The noun's parameters and, as often as not, the verb's or a measured one; which are optional is drawn as well.

    All is drawn from the name.
    """
    rng = random.Random(f"signature/{verb.name}_{noun}")
    chosen = [names[0], *(name for name in names[1:] if rng.random() < 0.75)]
    if verb.brings and verb.brings not in chosen and rng.random() < 0.75:
        chosen.append(verb.brings)
    if not any(PARAMETERS[name].unit for name in chosen) and rng.random() < MEASURED:
        measure = rng.choice(MEASURES[kind])
        chosen[1:] = [*chosen[1:-1], measure]
    parameters = [PARAMETERS[name] for name in chosen]
    optional = [each for each in parameters[1:] if rng.random() < 0.4]
    required = [each for each in parameters if each not in optional]
    return Function(domain, verb, noun, tuple(required), tuple(optional))
