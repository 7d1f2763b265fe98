// The evaluation in detail: controls, transitions, error classes; the failure set; the manifests.

const pairOf = (run, mode, figure) =>
  run.pairs.find(
    (pair) =>
      pair.a === run.evidence.baseline && pair.b === run.evidence.trained && pair.mode === mode && pair.figure === figure,
  );

const mark = (run, name, figure, text) => ({
  value: figure.value * 100,
  low: figure.low * 100,
  high: figure.high * 100,
  text,
  series: seriesClass(run, name),
});

function controls(words, run, mode) {
  const labels = Object.keys(run.figures).filter((name) => run.figures[name].modes?.[mode]);
  const title = "Against the controls";
  if (labels.length === 0) return null;
  const shown = Object.entries(words.figures).filter(([name]) => labels.some((each) => figureOf(run, each, mode, name)));
  const both = run.evidence.baseline && run.evidence.trained;
  const gains = Object.entries(words.gains).map(([name, text]) => [
    text,
    labels.map((each) => [each, run.figures[each].modes[mode].gains?.[name]]).filter(([, gain]) => gain),
  ]).filter(([, found]) => found.length > 0);
  return section(
    "controls-section",
    "Controls",
    title,
    `If the reflection did nothing, each of these would do as well: ${Object.values(words.controls).join("; ")}. ${capital(mode)} decoding.`,
    legend(run, labels),
    h(
      "div",
      { class: "pair" },
      h(
        "figure",
        {},
        h("figcaption", {}, "Percent right"),
        chart("Percent right with 95% intervals; the table below has the numbers", (width) =>
          intervals(
            width,
            shown.map(([name, text]) => ({
              name: text,
              marks: labels
                .map((each) => [each, figureOf(run, each, mode, name)])
                .filter(([, figure]) => Number.isFinite(figure?.value))
                .map(([each, figure]) => mark(run, each, figure, percent(figure.value))),
            })),
          ),
        ),
      ),
      gains.length > 0 &&
        h(
          "figure",
          {},
          h("figcaption", {}, "What a row’s own reflection adds, in points"),
          chart("Paired differences in points with 95% intervals; the table below has the numbers", (width) =>
            intervals(
              width,
              gains.map(([text, found]) => ({
                name: text,
                marks: found.map(([each, gain]) => mark(run, each, gain, points(gain.value))),
              })),
              { zero: true },
            ),
          ),
        ),
    ),
    table(
      `Percent right by control, ${mode}`,
      ["Percent right", ...labels, ...(both ? ["Difference, points"] : [])],
      shown.map(([name, text]) => [
        text,
        ...labels.map((each) => shareCell(figureOf(run, each, mode, name))),
        ...(both ? [differenceCell(pairOf(run, mode, name)?.difference)] : []),
      ]),
    ),
    gains.length > 0 &&
      table(
        `Paired differences within a model, ${mode}`,
        ["Own reflection, points", ...labels],
        gains.map(([text, found]) => [text, ...labels.map((each) => differenceCell(new Map(found).get(each)))]),
      ),
    run.notes.length > 0 && h("ul", { class: "notes" }, run.notes.map((note) => h("li", {}, note))),
  );
}

const WAYS = [
  ["right", "right at once", "part-right"],
  ["wrong→right", "wrong → right", "part-fixed"],
  ["wrong→wrong", "wrong → wrong", "part-wrong"],
  ["abstained", "withheld", "part-held"],
];

function transitions(run, mode) {
  const labels = Object.keys(run.figures).filter((name) => figureOf(run, name, mode, "transitions"));
  if (labels.length === 0) return null;
  const between = pairOf(run, mode, "second_try")?.transitions;
  const [a, b] = [run.evidence.baseline, run.evidence.trained];
  const cell = (name) => {
    const all = Object.values(between).reduce((sum, value) => sum + value, 0) || 1;
    return [h("span", { class: "number" }, count(between[name] ?? 0)), h("span", { class: "range" }, `${percent((between[name] ?? 0) / all)}%`)];
  };
  return section(
    "transitions",
    "Rows",
    "What happened to each row",
    `From the first try to the second, and from the model before training to the one after. ${capital(mode)} decoding.`,
    h("ul", { class: "legend" }, WAYS.map(([, text, className]) => h("li", { class: className }, h("i", { "aria-hidden": "true" }), text))),
    labels.map((name) => {
      const found = figureOf(run, name, mode, "transitions");
      const parts = WAYS.map(([key, text, className]) => ({ name: text, value: found[key] ?? 0, className }));
      const summary = parts.map((part) => `${part.name} ${count(part.value)}`).join(", ");
      return h(
        "figure",
        { class: "strip" },
        h("figcaption", {}, name, h("span", { class: "range" }, summary)),
        chart(`${name}: ${summary}`, (width) => stacked(width, parts)),
      );
    }),
    between &&
      h(
        "div",
        { class: "matrix" },
        table(
          `Second try of the same rows, ${a} against ${b}`,
          ["Second try", `${b}: right`, `${b}: wrong`],
          [
            [`${a}: right`, cell("right→right"), cell("right→wrong")],
            [`${a}: wrong`, cell("wrong→right"), cell("wrong→wrong")],
          ],
        ),
      ),
  );
}

function errorClasses(run, mode) {
  const labels = Object.keys(run.figures).filter((name) => figureOf(run, name, mode, "error_classes"));
  const totalOf = (name) => figureOf(run, name, mode, "first_try")?.total || run.figures[name].rows || 1;
  const classes = (which) => {
    const sums = new Map();
    for (const name of labels) {
      for (const [kind, size] of Object.entries(figureOf(run, name, mode, "error_classes")[which] ?? {})) {
        sums.set(kind, (sums.get(kind) ?? 0) + size);
      }
    }
    return [...sums].sort((one, other) => other[1] - one[1]).slice(0, 12).map(([kind]) => kind);
  };
  const panels = [["first", "At the first try"], ["second", "At the second try"]].filter(([which]) => classes(which).length);
  if (panels.length === 0) return null;
  return section(
    "errors",
    "Errors",
    "Kinds of error",
    `Percent of all judged rows that failed with each kind of error. ${capital(mode)} decoding.`,
    legend(run, labels),
    h(
      "div",
      { class: "pair" },
      panels.map(([which, text]) =>
        h(
          "figure",
          {},
          h("figcaption", {}, text),
          chart(
            `${text}: ` +
              classes(which)
                .map((kind) => `${kind} ${labels.map((name) => `${name} ${count(figureOf(run, name, mode, "error_classes")[which]?.[kind] ?? 0)}`).join(", ")}`)
                .join("; "),
            (width) =>
              intervals(
                width,
                classes(which).map((kind) => ({
                  name: kind || "no class given",
                  marks: labels.map((name) => {
                    const size = figureOf(run, name, mode, "error_classes")[which]?.[kind] ?? 0;
                    return { value: (100 * size) / totalOf(name), text: percent(size / totalOf(name)), series: seriesClass(run, name) };
                  }),
                })),
              ),
          ),
        ),
      ),
    ),
  );
}

const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

function mining(run) {
  const mined = run.mined;
  if (!mined) return null;
  const bins = mined.pass_rates.map((size, index) => [`${index * 10}`, size]);
  return section(
    "mining",
    "Failures",
    "The failure set",
    "What training starts from: rows that the model failed at least once before training.",
    h(
      "dl",
      { class: "facts" },
      fact("rows tried", count(mined.rows)),
      fact("rows with a failure", `${count(mined.rows_with_failures)} (${percent(mined.rows_with_failures / (mined.rows || 1))}%)`),
      fact("failures kept", count(mined.failures)),
      mined.failed_retries > 0 && fact("retries that failed, kept too", count(mined.failed_retries)),
      fact("right at the first try", `${percent(mined.first_try_pass_rate)}%`),
      fact("tries", count(mined.tries)),
      fact("tries that passed", `${count(mined.passes)} (${percent(mined.passes / (mined.tries || 1))}%)`),
      fact("verdicts withheld", count(mined.abstentions)),
      ...Object.entries(mined.no_answers).map(([kind, size]) => fact(`no answer: ${kind}`, count(size))),
    ),
    h(
      "div",
      { class: "pair" },
      mined.pass_rates.filter(Boolean).length > 1 && h(
        "figure",
        {},
        h("figcaption", {}, "Rows by their share of passed tries"),
        chart(`Rows by share of passed tries, in tenths: ${mined.pass_rates.join(", ")}`, (width) => columns(width, bins, "at least this percent of tries passed")),
      ),
      Object.keys(mined.error_classes).length > 0 && table("Kinds of error in the failure set", ["Kind of error", "Failures"], Object.entries(mined.error_classes).slice(0, 20).map(([kind, size]) => [kind || "no class given", count(size)])),
    ),
  );
}

/** A manifest's leaves as `[path, value]`. */
function leaves(value, path = "") {
  if (value === null || typeof value !== "object") return [[path, value === null ? "none" : String(value)]];
  if (Array.isArray(value) && value.every((item) => item === null || typeof item !== "object")) return [[path, value.join(" ")]];
  return Object.entries(value).flatMap(([key, item]) => leaves(item, path ? `${path}.${key}` : key));
}

const MOST_LEAVES = 400;

const clipped = (text, most) => (text.length > most ? `${text.slice(0, most)}…` : text);

/** A manifest in titled parts: what determines the results, the environment, and the rest. */
function parts({ identity, about, ...rest }) {
  return [
    ["What determines the results", identity],
    ["Environment", about],
    ["Stage", rest],
  ].filter(([, part]) => part && Object.keys(part).length > 0);
}

function manifests(run) {
  const stages = Object.entries(run.manifests);
  if (stages.length === 0) return null;
  return section(
    "made",
    "Manifests",
    "How this run was made",
    "The manifest of each stage: models, versions, settings, seeds, code.",
    stages.map(([stage, manifest], index) =>
      h(
        "details",
        { open: index === 0 },
        h("summary", {}, stage),
        parts(manifest).map(([title, part]) => [
          h("h3", { class: "made-part" }, title),
          h("dl", { class: "manifest" }, leaves(part).slice(0, MOST_LEAVES).map(([name, value]) => fact(clipped(name, 300), clipped(value, 2000)))),
        ]),
      ),
    ),
  );
}
