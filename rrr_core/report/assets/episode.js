// One open episode: the conversation turn by turn, with verdicts, and trained tokens coloured by advantage.

const OUTCOMES = { passed: ["✓", "right"], failed: ["✕", "wrong"], abstained: ["∅", "withheld"] };

/** The episodes as objects; texts stay indices into `payload.texts` until shown. */
function unpack(payload) {
  const named = (fields, packed) => Object.fromEntries(fields.map((name, index) => [name, packed[index] ?? null]));
  const verdict = (value) => value && { outcome: value[0], category: value[1], detail: value[2] };
  return payload.episodes.map((packed, id) => {
    const values = named(payload.fields, packed);
    const at = (name) => values[name];
    const segmentsOf = (given) =>
      (given ?? []).map((each) => {
        const segment = named(payload.segment_fields, each);
        return { ...segment, verdict: verdict(segment.verdict) };
      });
    const segments = numbered(segmentsOf(at("segments")));
    const written = (role) => segments.find((segment) => segment.role === role)?.text ?? null;
    const last = segments.findLast((segment) => segment.role === "attempt");
    return {
      id,
      set: payload.sets[at("set")],
      rowIndex: at("row_index"),
      step: at("step"),
      first: verdict(at("first")),
      second: verdict(at("second")),
      verdicts: verdictsOf(segments, verdict(at("first"))),
      row: at("row"),
      segments,
      attempt: (payload.texts[last?.judged] ? last.judged : last?.text) ?? null,
      reflection: written("reflection"),
      reflectionTokens: segments.reduce((sum, { role, length }) => (role === "reflection" && length !== null ? sum + length : sum), null),
      controls: at("controls").map(([name, answer, judged, round]) => ({ name, answer, verdict: verdict(judged), round })),
      reward: at("reward"),
      advantage: at("advantage"),
      unneeded: numbered(segmentsOf(at("unneeded"))),
      decisions: (at("decisions") ?? []).map(([name, choice, category, detail]) => ({ name, choice, category, detail })),
    };
  });
}

/** The verdicts of the first try and of each round's, in order. */
function verdictsOf(segments, first) {
  const rounds = segments.slice(segments.findIndex(({ role }) => role === "reflection")).filter(({ role, verdict }) => verdict && (role === "reflection" || role === "retry"));
  return [first, ...rounds.map(({ verdict }) => verdict)];
}

/** The segments of courses with the number of each action; a text that is the whole answer has none. */
function numbered(segments) {
  let action = 0;
  return segments.map((segment, place) => {
    if (segment.role === "prompt") action = 0;
    if (segment.text === null) return { ...segment, action: null };
    action += 1;
    const acts = segment.judged !== null || action > 1 || segments[place + 1]?.role === "observation";
    return { ...segment, action: acts ? action : null };
  });
}

const setName = (set) => (set.kind === "training" ? "training" : `${set.label} · ${set.mode}`);

/** The outcomes of an episode as symbols, `✕ → ✓`, with one for each round. */
function way(episode) {
  const sign = (verdict) => {
    const [symbol, word] = OUTCOMES[verdict.outcome] ?? ["?", "unknown"];
    return h("span", { class: `sign ${verdict.outcome}`, role: "img", "aria-label": word }, symbol);
  };
  return h("span", { class: "way" }, episode.verdicts.map((verdict, place) => [place > 0 && h("i", { "aria-hidden": "true" }, "→"), sign(verdict)]));
}

function verdictLine(texts, verdict) {
  if (!verdict) return null;
  const [symbol, word] = OUTCOMES[verdict.outcome] ?? ["?", verdict.outcome];
  return h(
    "p",
    { class: `verdict ${verdict.outcome}` },
    h("strong", {}, `${symbol} ${word}`),
    texts[verdict.category] && h("span", {}, texts[verdict.category]),
    texts[verdict.detail] && h("span", { class: "detail" }, texts[verdict.detail]),
  );
}

/** A block of text; long ones scroll. */
const words = (text) => h("div", { class: "words", dir: "auto" }, text === "" ? h("em", {}, "nothing") : text);

function turn(name, className, ...children) {
  return h("li", { class: `turn ${className}` }, h("h4", {}, name), ...children);
}

/** Colours `element` by advantage: blue above zero, orange below, stronger the further from zero. */
function coloured(element, advantage, limit) {
  element.classList.add(advantage < 0 ? "minus" : "plus");
  element.style.setProperty("--strength", `${Math.round(Math.min(1, Math.abs(advantage) / limit) * 100)}%`);
  return element;
}

function advantageLegend(limit) {
  return h(
    "div",
    { class: "scale", role: "img", "aria-label": `Colour scale of advantages from ${signed(-limit, 2)} (orange) through 0 to ${signed(limit, 2)} (blue)` },
    h("span", {}, signed(-limit, 2)),
    h("i", {}),
    h("span", {}, signed(limit, 2)),
    h("b", {}, "advantage: orange made less likely, blue more"),
  );
}

/** A segment's trained tokens as one tab stop: arrow keys move over them, and a line shows the token and its value. */
function tokenView(texts, segment, advantage, limit) {
  const reading = h("output", { class: "reading" }, "Point at a token, or focus the text and use ← →.");
  const tokens = segment.tokens.map((index, place) =>
    coloured(h("span", { class: "token", "data-place": place }, texts[index]), advantage, limit),
  );
  let current = -1;
  const read = (place) => {
    tokens[current]?.classList.remove("current");
    current = place;
    const token = tokens[current];
    token.classList.add("current");
    const text = texts[segment.tokens[current]];
    const shown = plain(text.length > 60 ? `${text.slice(0, 60)}…` : text).replaceAll("\n", "⏎");
    reading.textContent = `Token ${count(current + 1)} of ${count(tokens.length)} “${shown}” · advantage ${signed(advantage, 3)}`;
    return token;
  };
  const box = h("div", { class: "words tokens", tabindex: "0", role: "group", "aria-label": "Trained tokens", dir: "auto" }, tokens);
  box.addEventListener("pointerover", (event) => {
    const token = event.target.closest(".token");
    if (token) read(Number(token.dataset.place));
  });
  box.addEventListener("focus", () => current < 0 && tokens.length && box.matches(":focus-visible") && read(0));
  box.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move || tokens.length === 0) return;
    event.preventDefault();
    event.stopPropagation();
    read(Math.max(0, Math.min(tokens.length - 1, current + move))).scrollIntoView({ block: "nearest" });
  });
  return [advantageLegend(limit), box, reading];
}

/** Other episodes of the same row: its group in training, and its episodes in other models and modes. */
function relatives(all, episode, open) {
  const rows = all.filter((other) => other !== episode && other.set.run === episode.set.run && other.rowIndex === episode.rowIndex);
  const group = rows.filter((other) => other.step !== null && other.step === episode.step && other.set === episode.set);
  const same = rows.filter((other) => other.step === null && episode.step === null);
  const chips = (title, others, text) =>
    others.length > 0 &&
    h(
      "div",
      { class: "relatives" },
      h("span", {}, title),
      others.slice(0, 16).map((other) => h("button", { type: "button", onclick: () => open(other) }, way(other), text(other))),
    );
  return [
    chips("Its group in this step", group, (other) => other.advantage !== null && signed(other.advantage, 2)),
    chips("The same row", same, (other) => setName(other.set)),
  ];
}

const WRITTEN = { attempt: "Attempt", reflection: "Reflection", retry: "Retry" };
const REQUESTS = { reflection: "Reflection request", retry: "Asked again" };

/** One segment: the messages that were read, or the text that was written, with its verdict. `next` follows it; `whole`
is the episode's advantage, for a segment without its own. */
function segmentView(texts, segment, next, whole, limit) {
  const advantage = segment.advantage ?? whole;
  if (segment.text === null) {
    const kind = segment.role === "observation" ? "Observation" : "Prompt";
    const asked = segment.role === "prompt" ? REQUESTS[next?.role] : undefined;
    return segment.messages.map(([role, content]) => turn(asked ?? `${kind} (${plain(texts[role])})`, "given", words(texts[content])));
  }
  const trained = segment.tokens !== null && advantage !== null;
  const name = WRITTEN[segment.role] + (segment.action === null ? "" : `, action ${count(segment.action)}`);
  return turn(
    trained ? `${name}: trained tokens` : name,
    "written",
    segment.thought !== null && !trained && h("details", { class: "thought" }, h("summary", {}, "Thought"), words(texts[segment.thought])),
    trained ? tokenView(texts, segment, advantage, limit) : words(texts[segment.text]),
    segment.calls !== null && h("div", { class: "judged" }, h("strong", {}, "Calls:"), words(texts[segment.calls])),
    segment.judged !== null && texts[segment.judged] !== "" && h("div", { class: "judged" }, h("strong", {}, "Judged:"), words(texts[segment.judged])),
    verdictLine(texts, segment.verdict),
  );
}

function pretty(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 1).replace(/\n\s*/g, " ");
  } catch {
    return json;
  }
}

function episodeView(payload, all, episode, limit, open) {
  const { texts } = payload;
  const text = (index) => texts[index];
  const facts = [
    setName(episode.set),
    episode.step !== null && `step ${count(episode.step)}`,
    episode.reflectionTokens !== null && `${count(episode.reflectionTokens)} tokens of reflection`,
    episode.reward !== null && `reward ${short(episode.reward)}`,
    episode.advantage !== null && `advantage ${signed(episode.advantage, 3)}`,
  ].filter(Boolean);
  return [
    h("h3", { tabindex: "-1", id: "episode-title" }, `Row ${count(episode.rowIndex)}`, " ", way(episode)),
    h("p", { class: "episode-facts" }, facts.join(" · ")),
    relatives(all, episode, open),
    h(
      "ol",
      { class: "turns" },
      turn("Row", "given", h("div", { class: "words mono" }, pretty(text(episode.row)))),
      episode.segments.map((segment, place, all) => segmentView(texts, segment, all[place + 1], episode.advantage, limit)),
      episode.decisions.map((decision) =>
        turn(
          `Decider ${text(decision.name)}: ${decision.choice}`,
          "control",
          words([text(decision.category), text(decision.detail)].filter(Boolean).join(": ")),
        ),
      ),
      episode.unneeded.length > 0 && turn("Second try of a right answer", "control", words("Sampled for the deciders alone; no other figure has it.")),
      episode.unneeded.map((segment, place, all) => segmentView(texts, segment, all[place + 1], null, limit)),
      episode.controls.map((control) =>
        turn(
          `Control: ${payload.words.controls[text(control.name)]}${control.round ? `, round ${control.round}` : ""}`,
          "control",
          words(text(control.answer)),
          verdictLine(texts, control.verdict),
        ),
      ),
    ),
  ];
}
