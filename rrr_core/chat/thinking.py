"""What a chat template does with thoughts, in the prompt, in earlier replies, and in a reply that it writes.

None declares it, so each is asked once, by rendering probes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property

from rrr_core.chat.marks import THINK, Marks, find_marks, marks_from
from rrr_core.chat.source import AGAIN, ANSWER, ASK, REPLY, TemplateSource

THOUGHT_FIELDS = ("reasoning_content", "thinking", "reasoning")
"""Fields of an assistant's message that templates read its thought from."""
THOUGHT = "someearlierthought"
_CHANNEL_END = re.compile(r"<\|\w+\|>")


class ThinkingTemplate(TemplateSource):
    """A chat template, asked about thoughts. What it does is found when it is first asked for, and then known."""

    @cached_property
    def prompt_end(self) -> str:
        """What the template writes after the user's text, where the assistant begins."""
        return self._probe([ASK]).partition(ASK["content"])[2]

    @cached_property
    def marks(self) -> Marks | None:
        """What separates thought and answer; None for a model that does not think, or not in marks known here."""
        found = find_marks(self.prompt_end, self.tokenizer.get_added_vocab(), self.source)
        if self.settings.thought_marks is None:
            return found
        given = marks_from(self.settings.thought_marks)
        if given is None:
            return None
        return replace(given, is_opened=given.is_opened or self.prompt_end.rstrip().endswith(given.open))

    @cached_property
    def closes_thought(self) -> bool:
        """Whether the prompt ends in a thought that is closed already, so that the model writes its answer alone."""
        return self.marks is not None and self.prompt_end.rstrip().endswith(self.marks.close)

    @cached_property
    def shares_prompt(self) -> bool:
        """Whether the conversation that goes on begins with the earlier prompt."""
        return self.settings.keep_thoughts or self._probe([ASK, REPLY, AGAIN]).startswith(self._probe([ASK]))

    @cached_property
    def thought_form(self) -> str | None:
        """How the template takes an assistant's thought: a field's name, or None for marks in the content."""
        for name in THOUGHT_FIELDS:
            if THOUGHT in (self._tried([ASK, {**REPLY, name: THOUGHT}], generation=False) or ""):
                return name
        return None

    @cached_property
    def keeps_thoughts(self) -> bool:
        """Whether an earlier reply's thought is still shown when the conversation goes on."""
        return self.settings.keep_thoughts or THOUGHT in self._probe([ASK, self._thinking_reply(), AGAIN])

    def extends(self, has_thought: bool) -> bool:
        """Whether a conversation that goes on begins with the earlier prompt and the reply as it was written.

        If not, the whole conversation is encoded again, and shares little with the prompt before.
        """
        return self._extends_thoughts if has_thought else self._extends_answers

    @cached_property
    def _extends_answers(self) -> bool:
        return self.settings.keep_thoughts or self._shows_bare_answers

    @cached_property
    def _shows_bare_answers(self) -> bool:
        """Whether an earlier answer follows its prompt, with nothing between."""
        prompt, longer = self._probe([ASK]), self._probe([ASK, REPLY, AGAIN])
        return longer.startswith(prompt) and longer[len(prompt) :].partition(ANSWER)[0].strip() == ""

    @cached_property
    def _extends_thoughts(self) -> bool:
        if self.settings.keep_thoughts:
            return True
        prompt, longer = self._probe([ASK]), self._probe([ASK, self._thinking_reply(), AGAIN])
        return longer.startswith(prompt) and THOUGHT in longer[len(prompt) :].partition(ANSWER)[0]

    def written(self, thought: str, answer: str) -> str:
        """A reply as the model would write it after the prompt: the template's own form of a last reply."""
        if not thought and self._shows_bare_answers:
            return answer
        prompt = self._probe([ASK])
        last = self._tried([ASK, self._thinking_reply() if thought else REPLY], generation=False) or ""
        reply = last.removeprefix(prompt)
        if reply != last and ANSWER in reply and (THOUGHT in reply or not thought):
            before, _, rest = reply.rpartition(ANSWER)[0].partition(THOUGHT)
            return before + thought + rest + answer
        marks = self.marks or THINK
        if not thought:
            return f"{marks.close}{marks.gap}{answer}" if marks.is_opened else answer
        return ("" if marks.is_opened else f"{marks.open}\n") + f"{thought}\n{marks.close}{marks.gap}{answer}"

    @cached_property
    def after_last_reply(self) -> str:
        """What the template writes after a reply that ends the conversation."""
        return (self._tried([ASK, REPLY], generation=False) or "").partition(ANSWER)[2]

    def as_sampled(self, following: str) -> str:
        """What follows an earlier reply, with the end token that the model writes.

        gpt-oss ends its last message with `<|return|>`, which its template shows as `<|end|>` in earlier turns.
        """
        if self.marks is None or not self.marks.is_channels:
            return following
        end = _CHANNEL_END.match(self.after_last_reply)
        return _CHANNEL_END.sub(end[0], following, count=1) if end else following

    def _thinking_reply(self) -> dict[str, str]:
        return self._reply_with(THOUGHT, ANSWER)

    def _reply_with(self, thought: str, answer: str) -> dict[str, str]:
        reply = {**REPLY, "content": answer}
        if not thought:
            return reply
        if self.thought_form is not None:
            return {**reply, self.thought_form: thought}
        return {**reply, "content": self._in_content(thought, answer)}

    def _in_content(self, thought: str, answer: str) -> str:
        marks = self.marks or THINK
        return f"{marks.open}\n{thought}\n{marks.close}{marks.gap}{answer}"
