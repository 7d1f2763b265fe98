// Reflections before and after training on the same rows, side by side, with the retries that came of them.

const PAIRS_AT_ONCE = 3;

const PAIR_WAYS = [
  ["only after", "right only after training"],
  ["only before", "right only before"],
  ["both", "right in both"],
  ["neither", "right in neither"],
];

const lastMessage = (texts, episode) => {
  const messages = episode.segments[0].messages;
  return messages.length ? texts[messages.at(-1)[1]] : "";
};

/** The texts of a role in an episode's first round; of a course, of all its actions. */
const writtenAs = (texts, episode, role) => {
  const start = episode.segments.findIndex((segment) => segment.role === "reflection");
  const end = episode.segments.findIndex((segment, place) => place > start && segment.role === "reflection");
  return episode.segments
    .slice(role === "attempt" ? 0 : start, end < 0 ? undefined : end)
    .filter((segment) => segment.role === role)
    .map((segment) => texts[segment.text])
    .join("\n");
};

function pairPart(name, className, text, verdict) {
  return h("div", { class: `pair-part ${className}` }, h("h4", {}, name), words(text), verdict);
}

function pairSide(texts, title, episode, sameAnswer, open) {
  return h(
    "div",
    { class: "pair-side" },
    h("h3", {}, title, " ", way(episode)),
    !sameAnswer && pairPart("First answer", "given", writtenAs(texts, episode, "attempt"), verdictLine(texts, episode.first)),
    pairPart("Reflection", "written", writtenAs(texts, episode, "reflection")),
    pairPart("Retry", "given", writtenAs(texts, episode, "retry"), verdictLine(texts, episode.second)),
    h("button", { type: "button", class: "link", onclick: () => open(episode), "aria-label": `Open the episode of row ${count(episode.rowIndex)}, ${setName(episode.set)}` }, "whole episode"),
  );
}

function pairCard(texts, run, [before, after], open) {
  const sameAnswer = writtenAs(texts, before, "attempt") === writtenAs(texts, after, "attempt");
  return h(
    "li",
    { class: "pair-card" },
    h(
      "div",
      { class: "pair-row" },
      h("p", { class: "eyebrow" }, `Row ${count(before.rowIndex)}`),
      pairPart("Asked", "given", lastMessage(texts, before)),
      sameAnswer && pairPart("Both answered", "given", writtenAs(texts, before, "attempt"), verdictLine(texts, before.first)),
    ),
    pairSide(texts, `Before: ${run.evidence.baseline}`, before, sameAnswer, open),
    pairSide(texts, `After: ${run.evidence.trained}`, after, sameAnswer, open),
  );
}

/** The pairs of a mode by way, as episodes that are on the page. */
function pairsByWay(payload, everything, state, mode) {
  const shown = state.run.pairs_shown[mode];
  if (!shown) return {};
  const of = (label) => {
    const own = everything.filter(({ set }) => payload.runs[set.run] === state.run && set.label === label && set.mode === mode);
    return new Map(own.map((episode) => [episode.rowIndex, episode]));
  };
  const [before, after] = [of(state.run.evidence.baseline), of(state.run.evidence.trained)];
  return Object.fromEntries(
    PAIR_WAYS.map(([way]) => [way, (shown.rows[way] ?? []).filter((row) => before.has(row) && after.has(row)).map((row) => [before.get(row), after.get(row)])]),
  );
}

function beforeAfter(payload, everything, state, mode) {
  const byWay = pairsByWay(payload, everything, state, mode);
  const ways = PAIR_WAYS.filter(([way]) => byWay[way]?.length);
  if (ways.length === 0) return null;
  const { counts } = state.run.pairs_shown[mode];
  const total = Object.values(counts).reduce((sum, size) => sum + size, 0);
  let [chosen] = ways[0];
  let start = 0;
  const list = h("ol", { class: "pair-cards" });
  const bar = h("div", { class: "pair-bar" });
  const draw = () => {
    const pairs = byWay[chosen];
    const shown = pairs.slice(start, start + PAIRS_AT_ONCE);
    list.replaceChildren(...shown.map((pair) => pairCard(payload.texts, state.run, pair, state.openEpisode)));
    bar.replaceChildren(
      choice("Whose retry was right", ways.map(([way, text]) => [way, `${text}: ${count(counts[way])}`]), chosen, (way) => {
        [chosen, start] = [way, 0];
        draw();
      }),
      ...(pairs.length > PAIRS_AT_ONCE
        ? [h("button", { type: "button", class: "quiet", onclick: () => ((start = start + PAIRS_AT_ONCE < pairs.length ? start + PAIRS_AT_ONCE : 0), draw()) }, "other rows")]
        : []),
    );
  };
  draw();
  return section(
    "pairs",
    "Before and after",
    "The same failures, before and after",
    `Both models failed ${total === 1 ? "1 row" : `${count(total)} rows`} at the first try. Which are shown is decided by a hash of the row, not by what was written; the same wrong answers come first. ${capital(mode)} decoding.`,
    bar,
    list,
  );
}
