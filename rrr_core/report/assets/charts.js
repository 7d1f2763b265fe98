// Charts as SVG: intervals, bars, steps and lines.

/** Round numbers from `low` to `high` in about `wanted` steps. */
function ticks(low, high, wanted) {
  const span = high - low || 1;
  const rough = span / Math.max(1, wanted);
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * unit).find((size) => size >= rough * 0.999) ?? unit * 10;
  const marks = [];
  for (let place = Math.ceil(low / step - 1e-9); place * step <= high + step * 1e-6; place++) marks.push(place * step + 0);
  return marks;
}

const scale = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);

function canvas(width, height) {
  return s("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
}

const label = (x, y, text, attributes = {}) => s("text", { x, y, ...attributes }, text);

/** Values with their intervals: one row per figure, one mark per model.
 *  `rows` are `{name, marks: [{value, low, high, series, text}]}`, in the unit of the axis. */
function intervals(width, rows, { unit = "%", zero = false } = {}) {
  const all = rows.flatMap((row) => row.marks.flatMap((mark) => [mark.low ?? mark.value, mark.high ?? mark.value]));
  const low = Math.min(0, ...all);
  const high = Math.max(zero ? 0 : 5, ...all) || 1;
  const pad = (high - low) * 0.04;
  const valueRoom = 52;
  const top = 6;
  const heights = rows.map((row) => 26 + row.marks.length * 18);
  const height = top + heights.reduce((sum, size) => sum + size, 0) + 26;
  const svg = canvas(width, height);
  const x = scale(low - (low < 0 ? pad : 0), high + pad, 6, width - valueRoom);
  for (const tick of ticks(low, high, width / 90)) {
    svg.append(
      s("line", { class: tick === 0 ? "axis" : "rule", x1: x(tick), x2: x(tick), y1: top, y2: height - 22 }),
      label(x(tick), height - 6, zero ? signed(tick, 0) : String(Math.round(tick)) + (tick === 0 ? "" : unit), {
        class: "tick",
        "text-anchor": "middle",
      }),
    );
  }
  let y = top;
  rows.forEach((row, index) => {
    svg.append(label(6, y + 15, row.name, { class: "row-name" }));
    row.marks.forEach((mark, place) => {
      const middle = y + 30 + place * 18;
      const group = s("g", { class: mark.series });
      if (Number.isFinite(mark.low)) {
        group.append(s("line", { class: "whisker", x1: x(mark.low), x2: x(mark.high), y1: middle, y2: middle }));
      } else group.append(s("line", { class: "stem", x1: x(0), x2: x(mark.value), y1: middle, y2: middle }));
      group.append(
        s("circle", { class: "dot", cx: x(mark.value), cy: middle, r: 4.5 }),
        label(width - 2, middle + 4, mark.text, { class: "value", "text-anchor": "end" }),
      );
      svg.append(group);
    });
    y += heights[index];
  });
  return svg;
}

/** One bar of parts that add up to a total. `parts` are `{name, value, className}`, with `title` if the value is not a
 *  number of rows. */
function stacked(width, parts) {
  const total = parts.reduce((sum, part) => sum + part.value, 0) || 1;
  const svg = canvas(width, 34);
  let x = 0;
  for (const part of parts.filter((each) => each.value > 0)) {
    const size = (part.value / total) * width;
    const group = s("g", { class: part.className });
    group.append(s("rect", { x, y: 0, width: Math.max(0, size - 1.5), height: 34, rx: 2 }));
    const text = `${percent(part.value / total, size > 60 ? 1 : 0)}${size > 46 ? "%" : ""}`;
    if (size > 30) group.append(label(x + size / 2 - 0.75, 22, text, { "text-anchor": "middle" }));
    group.append(s("title", {}, part.title ?? `${part.name}: ${count(part.value)} of ${count(total)}`));
    svg.append(group);
    x += size;
  }
  return svg;
}

/** Distributions as outlines over one axis. `series` are `{className, bins: [[upper edge, count]…]}`; heights are
 *  shares of the series per unit of the axis, so bins of different widths are comparable. */
function outlines(width, series, unit) {
  const height = 190;
  const [left, right, top, bottom] = [8, 8, 8, 36];
  const shapes = series.map(({ className, bins }) => {
    const total = bins.reduce((sum, bin) => sum + bin[1], 0) || 1;
    let lower = 0;
    const steps = bins.map(([upper, size]) => {
      const step = { lower, upper, height: upper > lower ? size / total / (upper - lower) : 0, size };
      lower = upper;
      return step;
    });
    return { className, steps };
  });
  const inUse = shapes.flatMap((shape) => shape.steps.filter((step) => step.size > 0));
  const end = Math.max(1, ...inUse.map((step) => step.upper));
  const peak = Math.max(1e-9, ...inUse.map((step) => step.height));
  const svg = canvas(width, height);
  const x = scale(0, end, left, width - right);
  const y = scale(0, peak, height - bottom, top);
  for (const tick of ticks(0, end, width / 80)) {
    svg.append(
      s("line", { class: "rule", x1: x(tick), x2: x(tick), y1: top, y2: height - bottom }),
      label(x(tick), height - bottom + 16, count(tick), { class: "tick", "text-anchor": "middle" }),
    );
  }
  for (const { className, steps } of shapes) {
    const path = steps
      .filter((step) => step.lower < end)
      .map((step) => `L${x(step.lower)},${y(step.height)}L${x(Math.min(end, step.upper))},${y(step.height)}`)
      .join("");
    svg.append(s("path", { class: `${className} outline`, d: `M${x(0)},${y(0)}${path}L${x(end)},${y(0)}` }));
  }
  svg.append(
    s("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }),
    label(width - right, height - 4, unit, { class: "tick", "text-anchor": "end" }),
  );
  return svg;
}

/** Small upright bars, such as rows by pass rate. `bars` are `[name, value]`. */
function columns(width, bars, axis) {
  const height = 150;
  const [top, bottom] = [20, 36];
  const peak = Math.max(1, ...bars.map(([, value]) => value));
  const svg = canvas(width, height);
  const room = width / bars.length;
  bars.forEach(([name, value], index) => {
    const size = (value / peak) * (height - top - bottom);
    const x = index * room;
    svg.append(
      s("rect", { class: "column", x: x + 2, y: height - bottom - size, width: room - 4, height: size, rx: 1.5 }),
      label(x + room / 2, height - bottom - size - 5, value ? count(value) : "", { class: "tick", "text-anchor": "middle" }),
      label(x + room / 2, height - bottom + 15, name, { class: "tick", "text-anchor": "middle" }),
    );
  });
  svg.append(
    s("line", { class: "axis", x1: 0, x2: width, y1: height - bottom, y2: height - bottom }),
    label(width, height - 4, axis, { class: "tick", "text-anchor": "end" }),
  );
  return svg;
}

/** Lines over steps. `lines` are `{steps, values, className}`, the last one on top; `bounds` fixes the value axis. */
function plot(width, lines, { unit, bounds }) {
  const height = 150;
  const [left, right, top, bottom] = [40, 10, 8, 22];
  const steps = lines.flatMap((line) => line.steps);
  const values = lines.flatMap((line) => line.values.filter((value) => value !== null));
  let [low, high] = bounds ?? [Math.min(...values), Math.max(...values)];
  if (high - low < 1e-12) [low, high] = [low - (Math.abs(low) * 0.1 || 0.5), high + (Math.abs(high) * 0.1 || 0.5)];
  const x = scale(Math.min(...steps), Math.max(...steps), left, width - right);
  const y = scale(low, high, height - bottom, top);
  const svg = canvas(width, height);
  const written = (value) => (unit === "share" ? `${short(value * 100)}%` : short(value));
  for (const tick of ticks(low, high, 3)) {
    svg.append(
      s("line", { class: "rule", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      label(left - 6, y(tick) + 4, written(tick), { class: "tick", "text-anchor": "end" }),
    );
  }
  for (const tick of ticks(Math.min(...steps), Math.max(...steps), width / 80).filter(Number.isInteger)) {
    svg.append(label(x(tick), height - 5, count(tick), { class: "tick", "text-anchor": "middle" }));
  }
  for (const line of lines) {
    let pen = "M";
    let path = "";
    line.steps.forEach((step, index) => {
      const value = line.values[index];
      if (value === null) return;
      path += `${pen}${x(step).toFixed(1)},${y(value).toFixed(1)}`;
      pen = "L";
    });
    svg.append(s("path", { class: `line ${line.className}`, d: path }));
    const known = line.values.filter((value) => value !== null);
    if (known.length === 1) {
      const at = line.values.findIndex((value) => value !== null);
      svg.append(s("circle", { class: `dot ${line.className}`, cx: x(line.steps[at]), cy: y(known[0]), r: 3 }));
    }
  }
  return { svg, x, y, top, bottom: height - bottom };
}
