// The transfer matrix: what training on each task does on every task, as a heat map whose every cell says its numbers.

/** How strongly a gain is coloured: 1 to 3 for thirds of the largest on the map; not at all if its interval has zero in it. */
function heat(gain, largest) {
  if (!gain || !Number.isFinite(gain.value) || (gain.low <= 0 && gain.high >= 0)) return "heat";
  return `heat heat-${gain.value < 0 ? "minus" : "plus"}-${Math.min(3, 1 + Math.floor((3 * Math.abs(gain.value)) / (largest || 1)))}`;
}

function transferCell(words, cell, largest) {
  const gain = cell.gain;
  return h(
    "div",
    { class: heat(gain, largest) },
    gain
      ? [
          h("span", { class: "number" }, points(gain.value)),
          h("span", { class: "range" }, `${points(gain.low)} to ${points(gain.high)}, n ${count(gain.total)}`),
        ]
      : "–",
    cell.trained_on === cell.evaluated_on && h("span", { class: "range" }, "its own task"),
    Object.entries(cell.gains).map(([name, over]) =>
      h("span", { class: "range" }, `${words.gains[name] ?? name} ${points(over.value)} (${points(over.low)} to ${points(over.high)})`),
    ),
  );
}

function transferMap(words, mode, matrix, found) {
  const largest = Math.max(...found.cells.map((cell) => Math.abs(cell.gain?.value ?? 0)));
  const cellOf = (trained, task) => found.cells.find((cell) => cell.trained_on === trained && cell.evaluated_on === task);
  return [
    h("h3", {}, `${capital(mode)} decoding`),
    table(
      `Gain of the second try by what was trained on and what was evaluated on, ${mode}`,
      ["Trained on", ...matrix.evaluated_on.map((task) => `on ${task}`)],
      [
        ["nothing, percent right", ...matrix.evaluated_on.map((task) => shareCell(found.untrained[task]?.second_try))],
        ...matrix.trained_on.map((trained) => [
          trained,
          ...matrix.evaluated_on.map((task) => {
            const cell = cellOf(trained, task);
            return cell ? transferCell(words, cell, largest) : "–";
          }),
        ]),
      ],
      "transfer",
    ),
  ];
}

/** A section for each folder whose transfer was measured. */
const transfers = (payload) =>
  payload.transfers.map((each, index) =>
    section(
      `transfer-${index}`,
      "Transfer",
      `Transfer: ${each.name}`,
      `What training reflections on one task does on all: the second try, trained − untrained, in points, with its 95% interval over ${
        each.matrix.seeds > 1 ? `${each.matrix.seeds} seeds` : "rows"
      }; below, what the trained model gains by its own reflection over each control. Blue is a gain and orange a loss; a cell whose interval has zero in it has no colour.`,
      Object.entries(each.matrix.modes).map(([mode, found]) => transferMap(payload.words, mode, each.matrix, found)),
    ),
  );
