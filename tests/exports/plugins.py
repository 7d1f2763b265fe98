"""Tasks for the tests of exports, laid out as pip would."""

SHAKY = """
    from rrr_core import failed, hookimpl, passed

    @hookimpl
    def rrr_load_dataset(split, options):
        for number in range(int(options.get("first", "0")), 1000):
            yield {"number": number, "split": split}

    @hookimpl
    def rrr_prompt(row, model):
        system = {"role": "system", "content": f"You are a {model.family}."}
        return [system, {"role": "user", "content": f"Say {row['number']}."}]

    @hookimpl
    def rrr_verify(row, answer):
        if answer == "crash":
            raise ZeroDivisionError("planted")
        if answer == "hang":
            import time
            time.sleep(60)
        return passed() if answer == str(row["number"]) else failed("wrong number", f"not {row['number']}")

    @hookimpl
    def rrr_reflection_prompt(row, attempt):
        return f"Why was {attempt!r} wrong?"

    @hookimpl
    def rrr_retry_prompt(row):
        return f"Again: say {row['number']}."

    @hookimpl
    def rrr_gold_answer(row):
        return str(row["number"]) if row["number"] else None
"""
"""A task `{"number": n}` with a verifier that is not trusted; the answer `crash` makes it raise."""
