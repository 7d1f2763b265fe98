// The training curves: small charts, each with a line that reads out one point; other runs are drawn in grey.

function curvePanel(state, panel) {
  const name = panel.series;
  const run = state.run;
  const others = state.runs.filter((other) => other !== run && other.curves?.series[name]);
  const line = (of, className) => ({ steps: of.curves.steps, values: of.curves.series[name], className });
  const lines = [...others.map((other) => line(other, "behind")), line(run, "series-after")];
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
      const high = panel.unit === "share" ? Math.max(...lines.flatMap((each) => each.values.filter((value) => value !== null))) : 0;
      const bounds = panel.unit === "share" ? [0, high > 0.5 ? 1 : Math.max(0.05, high * 1.15)] : undefined;
      const { svg, x, y, top, bottom } = plot(width, lines, { unit: panel.unit, bounds });
      const hair = s("line", { class: "hair", y1: top, y2: bottom, visibility: "hidden" });
      const dot = s("circle", { class: "series-after dot", r: 3.5 });
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

function curves(state) {
  const found = state.run.curves;
  const title = "How training went";
  if (!found || found.steps.length === 0) return section("curves", "Training", title, null, absent("No training curves in this run."));
  const main = found.panels.filter((panel) => panel.note);
  const rest = found.panels.filter((panel) => !panel.note);
  const averaged = found.logged > found.steps.length ? ` Averaged to ${count(found.steps.length)} points.` : "";
  const behind = state.runs.length > 1 ? " Other runs are drawn in grey." : "";
  const grid = (panels) => h("div", { class: "grid" }, panels.map((panel) => curvePanel(state, panel)));
  return section(
    "curves",
    "Training",
    title,
    `${count(found.logged)} logged steps.${averaged}${behind} Point at a curve, or focus it and use the arrow keys, to read it.`,
    grid(main),
    rest.length > 0 && h("details", {}, h("summary", {}, `${count(rest.length)} more series`), grid(rest)),
  );
}
