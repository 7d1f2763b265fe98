// The training curves: small charts, each with a line that reads out one point, runs laid over each other; and when
// training had converged.

/** The axis of shares: from 0, and to 100% if any is above a half. */
function shareBounds(lines) {
  const high = Math.max(...lines.flatMap((line) => line.values.filter((value) => value !== null)));
  return [0, high > 0.5 ? 1 : Math.max(0.05, high * 1.15)];
}

function curvePanel(state, panel) {
  const name = panel.series;
  const run = state.run;
  const others = state.runs.filter((other) => other !== run && other.curves?.series[name]);
  const line = (of, className) => ({ steps: of.curves.steps, values: of.curves.series[name], className });
  const lines = [...others.map((other) => line(other, `behind ${runClass(state, other)}`)), line(run, runClass(state, run))];
  const values = lines.at(-1).values;
  const known = values.map((value, index) => [value, index]).filter(([value]) => value !== null);
  const last = known.at(-1)[1];
  const written = (value) => (panel.unit === "share" ? `${percent(value)}%` : short(value));
  const reading = h("output", { class: "reading" });
  const read = (index) => {
    const step = run.curves.steps[index];
    reading.textContent = `${written(values[index])} at step ${short(step)}`;
  };
  read(last);
  let cursor = last;
  let pointTo = () => {};
  const box = chart(
    `${panel.title}: from ${written(known[0][0])} at step ${short(run.curves.steps[known[0][1]])} to ${written(values[last])} at step ${short(run.curves.steps[last])}`,
    (width) => {
      const bounds = panel.unit === "share" ? shareBounds(lines) : undefined;
      const { svg, x, y, top, bottom } = plot(width, lines, { unit: panel.unit, bounds });
      const hair = s("line", { class: "hair", y1: top, y2: bottom, visibility: "hidden" });
      const dot = s("circle", { class: `${runClass(state, run)} dot`, r: 3.5 });
      svg.append(hair, dot);
      pointTo = (index, showHair) => {
        const at = x(run.curves.steps[index]);
        hair.setAttribute("x1", at);
        hair.setAttribute("x2", at);
        hair.setAttribute("visibility", showHair ? "visible" : "hidden");
        dot.setAttribute("cx", at);
        dot.setAttribute("cy", y(values[index]));
        read(index);
      };
      pointTo(last, false);
      svg.addEventListener("pointermove", (event) => {
        const at = event.clientX - svg.getBoundingClientRect().left;
        const near = known.reduce((best, each) =>
          Math.abs(x(run.curves.steps[each[1]]) - at) < Math.abs(x(run.curves.steps[best[1]]) - at) ? each : best,
        );
        pointTo((cursor = near[1]), true);
      });
      svg.addEventListener("pointerleave", () => pointTo((cursor = last), false));
      return svg;
    },
  );
  box.tabIndex = 0;
  box.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    const place = known.findIndex((each) => each[1] === cursor) + move;
    cursor = known[Math.max(0, Math.min(known.length - 1, place))][1];
    pointTo(cursor, true);
  });
  return h("figure", { class: "curve" }, h("figcaption", {}, h("span", {}, panel.title), reading), box, panel.note && h("p", { class: "small" }, panel.note));
}

/** The colour class of a run's curves: teal for a lone run, else one of six, kept whichever run is chosen. */
const runClass = (state, run) => (state.runs.length > 1 ? `run-${state.runs.indexOf(run) % 6}` : "series-after");

/** The value of a series that never changes; null for one that does, or where another run's does. */
function constantOf(state, name) {
  const values = state.runs.flatMap((run) => run.curves?.series[name] ?? []).filter((value) => value !== null);
  return values.every((value) => value === values[0]) ? values[0] : null;
}

function converged(state) {
  const measured = state.runs.filter((run) => run.convergence);
  const found = state.run.convergence;
  if (!found) return null;
  const drawn = found.samples !== null ? `${count(found.samples)} reflections (step ${short(found.step)})` : `step ${short(found.step)}`;
  const all = found.all_samples !== null ? `${count(found.all_samples)} reflections (${short(found.steps)} steps)` : `${short(found.steps)} steps`;
  const { series, steps } = state.run.curves;
  const known = steps.map((step, index) => [step, series.retry_success_rate[index]]).filter(([, value]) => value !== null);
  const perStep = found.samples !== null && found.step ? found.samples / found.step : 1;
  const at = known.map(([step]) => step * perStep);
  return h(
    "div",
    { class: "pair converged" },
    h(
      "figure",
      {},
      h("figcaption", {}, "Samples to convergence"),
      chart(`Retry success by ${found.samples !== null ? "reflections drawn" : "step"}: ${found.is_level ? `its last level is reached after ${drawn}` : "still rising at the end"}`, (width) => {
        const lines = [
          { steps: at, values: known.map(([, value]) => value), className: "behind" },
          { steps: at, values: found.smoothed, className: "series-after" },
        ];
        const { svg, x, y, top, bottom } = plot(width, lines, { unit: "share", bounds: [0, Math.max(...lines.flatMap((line) => line.values)) * 1.1] });
        const reached = found.step * perStep;
        svg.append(
          ...[
          s("line", { class: "hair", x1: x(at[0]), x2: x(at.at(-1)), y1: y(found.level), y2: y(found.level) }),
          found.is_level && s("line", { class: "zero", x1: x(reached), x2: x(reached), y1: top, y2: bottom }),
          ].filter(Boolean),
        );
        return svg;
      }),
      h("p", { class: "small" }, `By ${found.samples !== null ? "reflections drawn" : "step"}: each step in grey, their moving mean on top, the last level dotted.`),
    ),
    h(
      "div",
      {},
      found.is_level && h("p", { class: "converged-figure" }, found.samples !== null ? count(found.samples) : `step ${short(found.step)}`, found.samples !== null && h("span", {}, " reflections")),
      h(
        "p",
        { class: "lead" },
        found.is_level
          ? `Retry success had made 90% of its way from ${percent(found.start)}% to its last level of ${percent(found.level)}% after ${drawn}, of ${all}.`
          : `Retry success rose from ${percent(found.start)}% to ${percent(found.level)}% and was still rising at the end of ${all}: it had not converged.`,
      ),
      measured.length > 1 &&
        table(
          "Samples to convergence by run",
          ["Run", "Reflections", "Step", "Last level"],
          measured.map(({ name, convergence }) => [name, ...(convergence.is_level ? [count(convergence.samples), short(convergence.step)] : ["still rising", "–"]), `${percent(convergence.level)}%`]),
        ),
    ),
  );
}

function curves(state) {
  const found = state.run.curves;
  if (!found || found.steps.length === 0) return null;
  const constant = new Map(found.panels.map((panel) => [panel, constantOf(state, panel.series)]));
  const changing = found.panels.filter((panel) => constant.get(panel) === null);
  const still = found.panels.filter((panel) => constant.get(panel) !== null);
  const main = changing.filter((panel) => panel.note);
  const rest = changing.filter((panel) => !panel.note);
  const averaged = found.logged > found.steps.length ? ` Averaged to ${count(found.steps.length)} points.` : "";
  const grid = (panels) => h("div", { class: "grid" }, panels.map((panel) => curvePanel(state, panel)));
  const drawn = state.runs.filter((run) => run.curves?.steps.length);
  const value = (panel) => (panel.unit === "share" ? `${percent(constant.get(panel))}%` : short(constant.get(panel)));
  return section(
    "curves",
    "Training",
    "How training went",
    `${count(found.logged)} logged step${found.logged === 1 ? "" : "s"}.${averaged} Point at a curve, or focus it and use the arrow keys, to read it.`,
    drawn.length > 1 && h("ul", { class: "legend" }, drawn.map((run) => h("li", { class: runClass(state, run) }, h("i", { "aria-hidden": "true" }), run === state.run ? h("strong", {}, run.name) : run.name))),
    converged(state),
    main.length > 0 && grid(main),
    rest.length > 0 && h("details", {}, h("summary", {}, `${count(rest.length)} more series`), grid(rest)),
    still.length > 0 &&
      h(
        "details",
        {},
        h("summary", {}, `${count(still.length)} series that never changed`),
        h("dl", { class: "manifest" }, still.map((panel) => fact(panel.title, value(panel)))),
      ),
  );
}
