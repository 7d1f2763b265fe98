// The top of the page: the headline, the checks, the four columns, and runs side by side.

const STATE_MARKS = { holds: ["✓", "holds"], fails: ["✕", "does not hold"], unknown: ["?", "unknown"] };

/** The gain as a large figure with its interval. */
function gainFigure(evidence) {
  const gain = evidence.gain;
  if (!gain) return null;
  const measured = Number.isFinite(gain.low);
  const certainty = !measured || (gain.low <= 0 && gain.high >= 0) ? "doubtful" : gain.value < 0 ? "loss" : "";
  return h(
    "div",
    { class: "gain" },
    h("p", { class: `gain-value ${certainty}` }, points(gain.value), h("span", {}, " points")),
    h(
      "p",
      { class: "gain-note" },
      measured
        ? [
            h("span", {}, `over the ${count(gain.total)} rows judged for both`),
            h("span", {}, probability(gain.p)),
            h("span", {}, `${evidence.mode} decoding`),
          ]
        : "No interval: the models were not compared row by row.",
    ),
    measured &&
      chart(
        `Gain ${points(gain.value)} points, 95% interval ${points(gain.low)} to ${points(gain.high)}, on an axis with zero`,
        (width) => gainAxis(width, gain),
      ),
  );
}

/** The interval on an axis with zero. */
function gainAxis(width, gain) {
  const low = Math.min(0, gain.low) * 100;
  const high = Math.max(0, gain.high) * 100;
  const reach = (high - low) * 0.08 || 1;
  const svg = canvas(width, 46);
  const x = scale(low - reach, high + reach, 0, width);
  svg.append(s("line", { class: "axis", x1: 0, x2: width, y1: 22, y2: 22 }));
  for (const tick of ticks(low - reach, high + reach, width / 90)) {
    svg.append(
      s("line", { class: tick === 0 ? "zero" : "axis", x1: x(tick), x2: x(tick), y1: tick === 0 ? 4 : 18, y2: tick === 0 ? 34 : 26 }),
      label(x(tick), 44, signed(tick, 0), { class: "tick", "text-anchor": "middle" }),
    );
  }
  svg.append(
    s("rect", { class: "band", x: x(gain.low * 100), width: Math.max(2, x(gain.high * 100) - x(gain.low * 100)), y: 13, height: 18, rx: 3 }),
    s("circle", { class: "series-after dot", cx: x(gain.value * 100), cy: 22, r: 5.5 }),
  );
  return svg;
}

function checkList(checks) {
  return h(
    "ul",
    { class: "checks" },
    checks.map((check) => {
      const [mark, spoken] = STATE_MARKS[check.state];
      return h(
        "li",
        { class: `check ${check.state} ${check.is_claim ? "claim" : ""}` },
        h("span", { class: "mark", role: "img", "aria-label": spoken }, mark),
        h("div", {}, h("p", { class: "check-title" }, check.title, check.is_claim && h("em", {}, " (the paper’s striking claim, which need not hold)")), h("p", { class: "check-note" }, check.finding)),
      );
    }),
  );
}

function headline(run) {
  return h(
    "section",
    { id: "gain", "aria-labelledby": "gain-title", "data-title": "Gain", class: run.evidence.gain ? "hero" : "hero bare" },
    h("p", { class: "eyebrow" }, [run.name, run.task].filter(Boolean).join(" · ")),
    gainFigure(run.evidence),
    h("h1", { id: "gain-title" }, run.evidence.headline),
  );
}

function inNumbers(run) {
  const found = fourColumns(run);
  return found && section("numbers", "Numbers", "In numbers", null, found);
}

function checks(run) {
  const found = run.evidence.checks;
  return found.length > 0 && section("checks", "Checks", "Is it real?", null, checkList(found));
}

function missingNotes(run) {
  if (run.missing.length === 0) return null;
  return h(
    "aside",
    { class: "notice", "aria-label": "Missing from this run" },
    h("p", {}, h("strong", {}, "Missing from this run")),
    h("ul", {}, run.missing.map((text) => h("li", {}, text))),
  );
}

/** A share in percent, with its interval below. */
function shareCell(figure, withTotal = true) {
  if (!figure || !Number.isFinite(figure.value)) return "–";
  return [
    h("span", { class: "number" }, percent(figure.value)),
    h("span", { class: "range" }, `${percent(figure.low)}–${percent(figure.high)}`),
    withTotal && h("span", { class: "range" }, `n ${count(figure.total)}`),
  ];
}

/** A paired difference in points, with its interval and p below. */
function differenceCell(difference) {
  if (!difference || !Number.isFinite(difference.value)) return "–";
  return [
    h("span", { class: "number" }, points(difference.value)),
    Number.isFinite(difference.low) &&
      h("span", { class: "range" }, `${points(difference.low)} to ${points(difference.high)}`),
    h("span", { class: "range" }, probability(difference.p)),
  ];
}

const modesOf = (run) => [
  ...new Set(["sampled", "greedy", ...Object.values(run.figures).flatMap((figures) => Object.keys(figures.modes ?? {}))]),
].filter((mode) => Object.values(run.figures).some((figures) => figures.modes?.[mode]));

const figureOf = (run, labelOf, mode, name) => run.figures[labelOf]?.modes?.[mode]?.[name];

/** The paper's table: every model's first and second try, in each decoding mode. */
function fourColumns(run) {
  const labels = Object.keys(run.figures);
  if (labels.length === 0) return null;
  const head = (name, which) => [name, h("span", { class: "sub" }, which)];
  return [
    table(
      "Percent of judged rows answered right at first and second try, by decoding, with 95% intervals",
      ["", ...labels.flatMap((name) => [head(name, "1st try"), head(name, "2nd try")])],
      modesOf(run).map((mode) => [
        mode,
        ...labels.flatMap((name) => ["first_try", "second_try"].map((figure) => shareCell(figureOf(run, name, mode, figure)))),
      ]),
      "four",
    ),
    h("p", { class: "small" }, "Percent of judged rows answered right, 95% intervals, rows. Right at the first try counts as right at the second."),
  ];
}

/** One row per run, with the gains on a common axis. */
function sideBySide(state, choose) {
  if (state.runs.length < 2) return null;
  const measured = state.runs.filter((run) => Number.isFinite(run.evidence.gain?.low));
  return section(
    "runs",
    "Runs",
    "Runs side by side",
    "The second try before and after training, and the gain, each in the mode of the run’s headline.",
    measured.length > 0 &&
      chart("Gain of each run in points with its 95% interval", (width) =>
        intervals(
          width,
          measured.map((run) => ({
            name: run.name,
            marks: [
              {
                value: run.evidence.gain.value * 100,
                low: run.evidence.gain.low * 100,
                high: run.evidence.gain.high * 100,
                text: points(run.evidence.gain.value),
                series: run === state.run ? "series-after" : "series-before",
              },
            ],
          })),
          { zero: true },
        ),
      ),
    table(
      "Runs side by side",
      ["Run", "Mode", "Before", "After", "Gain, points"],
      state.runs.map((run, index) => [
        h("button", { type: "button", class: "link", "aria-pressed": String(run === state.run), onclick: () => choose(index) }, run.name),
        run.evidence.mode ?? "–",
        shareCell(run.evidence.before, false),
        shareCell(run.evidence.after, false),
        differenceCell(run.evidence.gain),
      ]),
    ),
  );
}
