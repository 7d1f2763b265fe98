from rrr_core import Example, Manifest, failed, hookimpl, passed


@hookimpl
def rrr_load_dataset(split):
    return ({"number": str(number)} for number in (range(1000, 5000) if split == "train" else range(5000, 9000)))


@hookimpl
def rrr_prompt(row):
    return f"Write the digits of {row['number']} from last to first, and nothing else."


@hookimpl
def rrr_verify(row, answer):
    return passed() if answer.strip() == row["number"][::-1] else failed("wrong digits")


@hookimpl
def rrr_examples():
    row = {"number": "12"}
    yield Example(row, "21", "passed")
    yield Example({"number": "1000"}, "1", "failed", "wrong digits")
    yield Example(row, "12 or 21", "failed", "wrong digits", hostile=True)


@hookimpl
def rrr_manifest():
    return Manifest("Say a number backwards.", "generated", "1.0", "CC0-1.0", categories=("wrong digits",))
