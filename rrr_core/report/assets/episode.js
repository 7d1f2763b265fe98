// One episode, opened: the conversation turn by turn, verdicts beside it, trained tokens coloured by advantage.

const OUTCOMES = { passed: ["✓", "right"], failed: ["✕", "wrong"], abstained: ["∅", "withheld"] };

/** The episodes as objects; a text stays an index into `payload.texts` until it is shown. */
function unpack(payload) {
  const places = Object.fromEntries(payload.fields.map((name, index) => [name, index]));
  return payload.episodes.map((packed, id) => {
    const at = (name) => packed[places[name]];
    const verdict = (value) => value && { outcome: value[0], category: value[1], detail: value[2] };
    return {
      id,
      set: payload.sets[at("set")],
      rowIndex: at("row_index"),
      step: at("step"),
      first: verdict(at("first")),
      second: verdict(at("second")),
      row: at("row"),
      prompt: at("prompt"),
      attempt: at("attempt"),
      reflectionPrompt: at("reflection_prompt"),
      reflection: at("reflection"),
      reflectionTokens: at("reflection_tokens"),
      retryPrompt: at("retry_prompt"),
      retry: at("retry"),
      controls: at("controls").map(([name, answer, judged]) => ({ name, answer, verdict: verdict(judged) })),
      reward: at("reward"),
      advantage: at("advantage"),
      tokens: at("tokens"),
    };
  });
}

const setName = (set) => (set.kind === "training" ? "training" : `${set.label} · ${set.mode}`);

/** The way of an episode in signs: `✕ → ✓`. */
function way(episode) {
  const sign = (verdict) => {
    const [symbol, word] = OUTCOMES[verdict.outcome] ?? ["?", "unknown"];
    return h("span", { class: `sign ${verdict.outcome}`, role: "img", "aria-label": word }, symbol);
  };
  return h("span", { class: "way" }, sign(episode.first), episode.second && [h("i", { "aria-hidden": "true" }, "→"), sign(episode.second)]);
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

/** A block of text somebody wrote; long ones scroll by themselves. */
const words = (text) => h("div", { class: "words", dir: "auto" }, text === "" ? h("em", {}, "nothing") : text);

function turn(name, className, ...children) {
  return h("li", { class: `turn ${className}` }, h("h4", {}, name), ...children);
}

/** The colour of an advantage: blue above zero, orange below, the stronger the further from it. */
function coloured(element, advantage, limit) {
  element.classList.add(advantage < 0 ? "minus" : "plus");
  element.style.setProperty("--strength", `${Math.round(Math.min(1, Math.abs(advantage) / limit) * 100)}%`);
  return element;
}

function advantageLegend(limit) {
  return h(
    "div",
    { class: "scale", role: "img", "aria-label": `Colour scale of advantages from ${signed(-limit, 2)} (orange) over 0 to ${signed(limit, 2)} (blue)` },
    h("span", {}, signed(-limit, 2)),
    h("i", {}),
    h("span", {}, signed(limit, 2)),
    h("b", {}, "advantage: orange made less likely, blue more"),
  );
}

/** The reflection's tokens, one tab stop; arrow keys walk over them, and a line tells token and value. */
function tokenView(texts, episode, limit) {
  const reading = h("output", { class: "reading" }, "Point at a token, or focus the text and use ← →.");
  const tokens = episode.tokens.map((index, place) =>
    coloured(h("span", { class: "token", "data-place": place }, texts[index]), episode.advantage, limit),
  );
  let current = -1;
  const read = (place) => {
    tokens[current]?.classList.remove("current");
    current = place;
    const token = tokens[current];
    token.classList.add("current");
    const text = texts[episode.tokens[current]];
    const shown = plain(text.length > 60 ? `${text.slice(0, 60)}…` : text).replaceAll("\n", "⏎");
    reading.textContent = `Token ${count(current + 1)} of ${count(tokens.length)} “${shown}” · advantage ${signed(episode.advantage, 3)}`;
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

/** Other episodes of the same row: the group it was trained in, and its ways in other models and modes. */
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
    chips("Its group in this step", group, (other) => signed(other.advantage, 2)),
    chips("The same row", same, (other) => setName(other.set)),
  ];
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
  const trained = episode.tokens !== null && episode.advantage !== null;
  return [
    h("h3", { tabindex: "-1", id: "episode-title" }, `Row ${count(episode.rowIndex)}`, " ", way(episode)),
    h("p", { class: "episode-facts" }, facts.join(" · ")),
    relatives(all, episode, open),
    h(
      "ol",
      { class: "turns" },
      turn("Row", "given", h("div", { class: "words mono" }, pretty(text(episode.row)))),
      episode.prompt.map(([role, content]) => turn(`Prompt (${plain(text(role))})`, "given", words(text(content)))),
      turn("Attempt", "written", words(text(episode.attempt)), verdictLine(texts, episode.first)),
      episode.reflectionPrompt !== null && turn("Reflection asked for", "given", words(text(episode.reflectionPrompt))),
      episode.reflection !== null &&
        turn(
          trained ? "Reflection: the trained tokens" : "Reflection",
          "written",
          trained ? tokenView(texts, episode, limit) : words(text(episode.reflection)),
        ),
      episode.retryPrompt !== null && turn("Posed again", "given", words(text(episode.retryPrompt))),
      episode.retry !== null && turn("Retry", "written", words(text(episode.retry)), verdictLine(texts, episode.second)),
      episode.controls.map((control) =>
        turn(
          { no_reflection: "Control: retry without a reflection", other_reflection: "Control: retry after another row’s reflection", independent: "Control: a second, independent sample" }[text(control.name)] ?? `Control: ${plain(text(control.name))}`,
          "control",
          words(text(control.answer)),
          verdictLine(texts, control.verdict),
        ),
      ),
    ),
  ];
}
