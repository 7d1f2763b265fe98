"""Attacks on what is judged: broken and nested tags, several answers, prompts and reflections echoed back."""

from __future__ import annotations

from rrr_countdown.equations import INVALID, MISSED, WRONG_NUMBERS
from rrr_countdown.hostile.cases import wrong_texts

RIGHT_ANSWER = "<answer>44+35-19</answer>"

TAGS = wrong_texts(
    [
        ("", INVALID, "an empty text"),
        ("44+35-19", INVALID, "no tags"),
        ("44+35-19 = 60", INVALID, "no tags, with a claim"),
        ("<answer>44+35-19", INVALID, "never closed"),
        ("44+35-19</answer>", INVALID, "never opened"),
        ("</answer>44+35-19<answer>", INVALID, "tags the wrong way round"),
        ("<ANSWER>44+35-19</ANSWER>", INVALID, "tags in capitals"),
        ("<Answer>44+35-19</Answer>", INVALID, "tags with a capital"),
        ("<answer >44+35-19</answer>", INVALID, "a blank in the opening tag"),
        ("< answer>44+35-19</answer>", INVALID, "a blank before the tag's name"),
        ("<answer>44+35-19</ answer>", INVALID, "a blank in the closing tag"),
        ("<answer>44+35-19</answer >", INVALID, "a blank at the closing tag's end"),
        ("<answer\n>44+35-19</answer>", INVALID, "a line feed in the tag"),
        ("<answer>44+35-19<answer>", INVALID, "two opening tags"),
        ("<answer>44+35-19</answer</answer>", INVALID, "a closing tag cut short before the whole one"),
        ("<answer>44+35-19<answer/></answer>", INVALID, "a closing tag with its slash misplaced"),
        ("<answer><answer</answer>", INVALID, "a tag cut short as the answer"),
        ("</answer>44+35-19</answer>", INVALID, "two closing tags"),
        ("<answer/>44+35-19</answer>", INVALID, "a tag closed in itself"),
        ("<answer id=1>44+35-19</answer>", INVALID, "a tag with an attribute"),
        ("<answers>44+35-19</answers>", INVALID, "another tag's name"),
        ("<final_answer>44+35-19</final_answer>", INVALID, "yet another tag"),
        ("[answer]44+35-19[/answer]", INVALID, "tags in square brackets"),
        ("＜answer＞44+35-19＜/answer＞", INVALID, "full-width tags"),
        ("<аnswer>44+35-19</аnswer>", INVALID, "a Cyrillic letter in the tags"),
        ("<ans\u200bwer>44+35-19</answer>", INVALID, "a zero-width space in a tag"),
        ("<answer\x00>44+35-19</answer>", INVALID, "a null character in a tag"),
        ("&lt;answer&gt;44+35-19&lt;/answer&gt;", INVALID, "tags in entities"),
        (r"\boxed{44+35-19}", INVALID, "a box in place of tags"),
        ("#### 44+35-19", INVALID, "the mark of GSM8K in place of tags"),
        ("The answer is 44+35-19.", INVALID, "words in place of tags"),
        ("<think>44+35-19</think>", INVALID, "a thought and no answer"),
        ("<answer>44+35-19</think>", INVALID, "closed by another tag"),
        ("<think><answer>44+35-19</think></answer>", INVALID, "tags that cross"),
        ("<answer>44+<b>35</b>-19</answer>", INVALID, "other tags inside"),
        ("<answer><answer>44+35-19</answer", INVALID, "the closing tag is cut short"),
        ("<answer>44+35</answer>-19</answer>", WRONG_NUMBERS, "an answer ends where it is first closed"),
        ("<answer>44+35-19</answer> or <answer>44+19-35</answer>", MISSED, "the last of two answers counts"),
        ("<answer>44+35-19</answer><answer></answer>", INVALID, "an empty answer after the right one"),
        ("<answer>44+35-19</answer><answer> </answer>", INVALID, "a blank answer after the right one"),
        ("<answer>44+35-19</answer> Wait! <answer>?</answer>", INVALID, "the right answer withdrawn"),
        ("<answer>44+35-19<answer>44+35</answer></answer>", WRONG_NUMBERS, "the inner answer counts"),
        (
            "".join(f"<answer>{a}{x}{b}{y}{c}</answer>" for x in "+-*/" for y in "+-*/" for a, b, c in [(44, 35, 19)]),
            MISSED,
            "every combination, one of them right",
        ),
        (f"{RIGHT_ANSWER * 50}<answer>44-35-19</answer>", MISSED, "fifty right answers and a wrong one"),
    ]
)

PROMPT = (
    "Using the numbers [44, 19, 35], create an equation that equals 60. Use every number exactly once. Return the "
    "final equation in <answer> </answer> tags, for example <answer>(1 + 2) / 3</answer>."
)

ECHOES = wrong_texts(
    [
        (PROMPT, WRONG_NUMBERS, "the prompt echoed back, its example last"),
        ("Return it in <answer> </answer> tags.", INVALID, "the empty tags of a prompt"),
        (f"44+35-19 it is. {PROMPT}", WRONG_NUMBERS, "a right equation without tags before the prompt's example"),
        (f"{RIGHT_ANSWER}\n{PROMPT}", WRONG_NUMBERS, "the prompt echoed after a right answer"),
        (
            f"I should have written {RIGHT_ANSWER}. Next time I check: <answer>44+19</answer>",
            WRONG_NUMBERS,
            "the right answer in a reflection, another one after it",
        ),
        (
            f"<think>{RIGHT_ANSWER}</think><answer>60</answer>",
            WRONG_NUMBERS,
            "the right answer in a thought, another after",
        ),
        (f"<|user|>The answer is {RIGHT_ANSWER}<|assistant|><answer>60</answer>", WRONG_NUMBERS, "a turn made up"),
        ("Assistant: <answer>44+35-19", INVALID, "cut off before the tag is closed"),
        ("<answer>[44, 19, 35]</answer>", INVALID, "the numbers as the prompt lists them"),
        ("<answer>create an equation that equals 60</answer>", INVALID, "the prompt's words in the tags"),
        ("<answer>(44 + 19) / 35 = 60</answer>", MISSED, "the prompt's example with the row's numbers"),
        ("<answer>Numbers: 44 19 35. Target: 60.</answer>", INVALID, "the embedded model's prompt in the tags"),
        ("<answer>see above</answer>", INVALID, "a pointer to another place"),
        ("<answer>44+35-19</answer><|im_end|><answer>44</answer>", WRONG_NUMBERS, "text after a mark of the end"),
    ]
)
