// The anatomy of the reflections: their kinds by rule, how often the retry after each is right, and how long they are.

function kindCell(found) {
  if (!found) return "–";
  return [
    h("span", { class: "number" }, `${percent(found.share.value)}%`),
    h("span", { class: "range" }, `n ${count(found.share.passed)}`),
    Number.isFinite(found.tokens) && h("span", { class: "range wide" }, `${fixed(found.tokens, 1)} tokens`),
  ];
}

/** Leaks in a sentence: what share of a model's reflections is a solution and no diagnosis, and of which kind. */
function leakSentence(words, label, anatomy) {
  const leaks = Object.entries(words.kinds).filter(([key, [, , isLeak]]) => isLeak && anatomy.kinds[key]);
  const parts = leaks.map(([key, [title]]) => `${title.charAt(0).toLowerCase()}${title.slice(1)} ${percent(anatomy.kinds[key].share.value)}%`);
  return `${label}: ${percent(anatomy.leaks.value)}% (${percent(anatomy.leaks.low)}–${percent(anatomy.leaks.high)}) of ${count(anatomy.leaks.total)}${parts.length ? `: ${parts.join(", ")}` : ""}.`;
}

function kindsOf(payload, run, mode) {
  const anatomy = run.anatomy[mode] ?? {};
  const labels = Object.keys(run.figures).filter((label) => anatomy[label]);
  const others = Object.keys(anatomy).filter((label) => !labels.includes(label));
  const all = [...labels, ...others];
  if (all.length === 0) return null;
  const kinds = Object.entries(payload.words.kinds).filter(([key]) => all.some((label) => anatomy[label].kinds[key]));
  const strips = h(
    "div",
    {},
    h("ul", { class: "legend" }, kinds.map(([key, [title]]) => h("li", { class: `part-kind-${key}` }, h("i", { "aria-hidden": "true" }), title))),
    all.map((label) => {
      const parts = kinds.map(([key, [title]]) => ({ name: title, value: anatomy[label].kinds[key]?.share.passed ?? 0, className: `part-kind-${key}` }));
      return h(
        "figure",
        { class: "strip" },
        h("figcaption", {}, label, h("span", { class: "range" }, `${count(anatomy[label].written)} reflections`)),
        chart(`${label}: ${parts.map((part) => `${part.name} ${count(part.value)}`).join(", ")}`, (width) => stacked(width, parts)),
      );
    }),
  );
  const head = (label, which) => [label, h("span", { class: "sub" }, which)];
  return [
    strips,
    table(
      `Kinds of reflection and the success of the retries after them, ${mode}`,
      ["Kind", ...all.flatMap((label) => [head(label, "share"), head(label, "retry right")])],
      kinds.map(([key, [title, meaning]]) => [
        [title, h("span", { class: "range wrap" }, meaning)],
        ...all.flatMap((label) => {
          const found = anatomy[label].kinds[key];
          return [kindCell(found), shareCell(found?.right)];
        }),
      ]),
      "kinds",
    ),
    h("details", { class: "narrow" }, h("summary", {}, "What the kinds mean"), h("dl", { class: "manifest" }, kinds.map(([, [title, meaning]]) => fact(title, meaning)))),
    h("h3", { class: "inner" }, "Solutions instead of diagnoses"),
    h("ul", { class: "notes" }, all.map((label) => h("li", {}, leakSentence(payload.words, label, anatomy[label])))),
    h(
      "p",
      { class: "small" },
      "Rules decide the kind by numbers, names, sums, code and answers, not by meaning; the first that holds counts. A sum that is worked out hands the retry a solution, even if the answer itself is not written down.",
    ),
  ];
}

function lengthsOf(run, mode) {
  const of = (name) => figureOf(run, name, mode, "reflection_tokens");
  const labels = Object.keys(run.figures).filter((name) => of(name)?.count);
  if (labels.length === 0) return null;
  return [
    h("h3", { class: "inner" }, "Length in tokens"),
    legend(run, labels),
    h(
      "div",
      { class: "pair" },
      chart(`Distribution of reflection lengths: ${labels.map((name) => `${name} median ${short(of(name).median)}`).join(", ")}`, (width) =>
        outlines(width, labels.map((name) => ({ className: seriesClass(run, name), bins: of(name).histogram ?? [] })), "tokens"),
      ),
      table(
        "Reflection length in tokens, end token included",
        ["Model", "Mean", "Median", "10%–90%", "Written", "Distinct"],
        labels.map((name) => [name, fixed(of(name).mean, 1), short(of(name).median), `${short(of(name).p10)}–${short(of(name).p90)}`, count(of(name).count), count(figureOf(run, name, mode, "reflections")?.distinct)]),
      ),
    ),
  ];
}

function reflections(payload, run, mode) {
  const parts = [kindsOf(payload, run, mode), lengthsOf(run, mode)].filter(Boolean);
  if (parts.length === 0) return null;
  return section("reflections", "Reflections", "What the reflections are like", `Kinds, success and length, first round. ${capital(mode)} decoding.`, parts);
}
