// The evaluation by round: how many rows enter each, how many are right after it, and what its controls do.

function rounds(words, run, mode) {
  const labels = Object.keys(run.figures).filter((name) => figureOf(run, name, mode, "rounds")?.length);
  if (labels.length === 0) return null;
  const of = (name) => figureOf(run, name, mode, "rounds");
  const most = Math.max(...labels.map((name) => of(name).length));
  const numbers = Array.from({ length: most }, (_, index) => index + 1);
  const shown = most > 1 ? Object.keys(words.rounds) : ["entered", "repeats"];
  const cells = (number, cell) => labels.map((name) => cell(of(name)[number - 1] ?? {}));
  const later = (number) => pairOf(run, mode, number === 1 ? "second_try" : `after_round_${number}`)?.difference;
  const both = most > 1 && run.evidence.baseline && run.evidence.trained;
  const controls = Object.keys(words.round_controls).filter((key) => labels.some((name) => of(name)[0].controls?.[key]));
  return section(
    "rounds",
    "Rounds",
    most > 1 ? "Round by round" : "The round in numbers",
    `A row enters a round if no try before it was right. ${capital(mode)} decoding.`,
    table(
      `Percent by round, ${mode}`,
      ["Percent", ...labels, ...(both ? ["Difference, points"] : [])],
      numbers.flatMap((number) =>
        shown.map((key) => [
          `Round ${number}: ${words.rounds[key]}`,
          ...cells(number, (round) => shareCell(round[key])),
          ...(both ? [key === "right" ? differenceCell(later(number)) : ""] : []),
        ]),
      ),
    ),
    most > 1 &&
      controls.length > 0 && [
        table(
          `Percent right by control and round, ${mode}`,
          ["Percent right after as many tries", ...labels],
          numbers.flatMap((number) =>
            controls.map((key) => [
              `Round ${number}: ${words.round_controls[key][number - 1]}`,
              ...cells(number, (round) => shareCell(round.controls?.[key])),
            ]),
          ),
        ),
        table(
          `Paired differences within a model by round, ${mode}`,
          ["Own reflections, points", ...labels],
          numbers.flatMap((number) =>
            controls.map((key) => [
              `Round ${number}: over ${words.round_controls[key][number - 1]}`,
              ...cells(number, (round) => differenceCell(round.gains?.[key])),
            ]),
          ),
        ),
      ],
  );
}
