"""Say a number backwards."""

from rrr_core import Example, Manifest, failed, hookimpl, passed


@hookimpl
def rrr_load_dataset(split):
    numbers = range(1000, 5000) if split == "train" else range(5000, 9000)
    return ({"number": str(number)} for number in numbers)


@hookimpl
def rrr_prompt(row):
    return f"Write the digits of {row['number']} from last to first, and nothing else."


@hookimpl
def rrr_verify(row, answer):
    return passed() if answer.strip() == row["number"][::-1] else failed("wrong")


@hookimpl
def rrr_examples():
    return Example({"number": "12"}, "21", "passed"), Example({"number": "12"}, "1221", "failed", "wrong", hostile=True)


@hookimpl
def rrr_manifest():
    return Manifest("Say a number backwards.", "generated", "1.0", "CC0-1.0", categories=("wrong",))
