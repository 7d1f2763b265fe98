// General benchmarks before and after training: what the training made the model forget.

function forgetting(run) {
  const found = run.forgetting;
  if (!found) return null;
  const labels = Object.keys(found.scores);
  const { baseline, trained } = run.evidence;
  const both = labels.includes(baseline) && labels.includes(trained);
  const differenceOf = (key) => found.pairs.find((pair) => pair.a === baseline && pair.b === trained && pair.benchmark === key)?.difference;
  const measured = Object.entries(found.titles).filter(([key]) => both && differenceOf(key));
  return section(
    "forgetting",
    "Forgetting",
    "What training made the model forget",
    "General benchmarks, run by lm-eval on the same items before and after training. A difference below zero is a loss.",
    measured.length > 0 &&
      chart("Paired differences in points with 95% intervals; the table below has the numbers", (width) =>
        intervals(
          width,
          measured.map(([key, title]) => ({ name: title, marks: [mark(run, trained, differenceOf(key), points(differenceOf(key).value))] })),
          { zero: true },
        ),
      ),
    table(
      "Percent right on general benchmarks, with 95% intervals",
      ["Percent right", ...labels, ...(both ? ["Difference, points"] : [])],
      Object.entries(found.titles).map(([key, title]) => [
        title,
        ...labels.map((name) => shareCell(found.scores[name][key])),
        ...(both ? [differenceCell(differenceOf(key))] : []),
      ]),
    ),
  );
}
