// Who decides to retry when no oracle does, and the figures corrected for known rates of errors.

const shortShare = (figure) => (figure ? h("span", { class: "number" }, percent(figure.value)) : "–");

function deciders(run, mode) {
  const labels = Object.keys(run.figures).filter((name) => Object.keys(figureOf(run, name, mode, "deciders") ?? {}).length > 0);
  if (labels.length === 0) return null;
  return section(
    "deciders",
    "Deciders",
    "Who decides to retry",
    `In use no oracle knows which answers are wrong. Each decider chooses, row by row, between the same first and second answer. ${capital(mode)} decoding.`,
    labels.map((name) => {
      const found = figureOf(run, name, mode, "deciders");
      return table(
        `${name}, ${mode}: ${count(Object.values(found)[0].rows)} rows; percent, and points with 95% intervals`,
        ["Decider", "Right, retried", "Wrong, retried", "Undecided", "Right → wrong", "Wrong → right", "Right in the end", "Gain", "Lost to the oracle", "Tokens a row"],
        Object.entries(found).map(([decider, each]) => [
          decider,
          ...["retried_right", "retried_wrong", "undecided", "right_to_wrong", "wrong_to_right"].map((key) => shortShare(each[key])),
          shareCell(each.right, false),
          differenceCell(each.gain),
          differenceCell(each.lost),
          each.tokens ? count(Math.round(each.tokens.total)) : "–",
        ]),
      );
    }),
  );
}

function corrected(words, run, mode) {
  const labels = Object.keys(run.figures).filter((name) => figureOf(run, name, mode, "corrected"));
  if (labels.length === 0) return null;
  const of = (name) => figureOf(run, name, mode, "corrected");
  const beside = (raw, found) => (found ? [shareCell(raw, false), h("span", { class: "range" }, "corrected"), shareCell(found, false)] : "–");
  return section(
    "corrected",
    "Corrected",
    "Corrected for the verifier’s known errors",
    `${labels.map((name) => `${name}: ${percent(of(name).known_false_pass)}% false passes, ${percent(of(name).known_false_fail)}% false failures`).join("; ")}. ${capital(mode)} decoding.`,
    table(
      `Percent right as judged, and corrected, ${mode}`,
      ["Percent right", ...labels],
      Object.entries(words.figures)
        .filter(([key]) => labels.some((name) => of(name).shares?.[key]))
        .map(([key, text]) => [text, ...labels.map((name) => beside(figureOf(run, name, mode, key), of(name).shares?.[key]))]),
    ),
  );
}
