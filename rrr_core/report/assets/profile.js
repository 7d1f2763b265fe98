// Where the time went: one bar per stage on a common time scale, and how well the hardware was used.

const WORK = [
  ["generate", "generating", "part-generate"],
  ["judge", "judging", "part-judge"],
  ["forward_backward", "forward and backward", "part-train"],
  ["optimiser", "optimiser", "part-optimiser"],
  ["sync", "weight sync", "part-sync"],
  ["save", "saving", "part-save"],
  ["other", "waiting and other", "part-rest"],
];

/** The shares of a time, largest first: `61% generating, 24% forward and backward`. */
function sharesOf(seconds, wall) {
  return WORK.map(([kind, text]) => [(seconds[kind] ?? 0) / (wall || 1), text])
    .filter(([share]) => share >= 0.005)
    .sort((one, other) => other[0] - one[0])
    .map(([share, text]) => `${percent(share, 0)}% ${text}`)
    .join(", ");
}

const PROFILE_COLUMNS = [
  ["Wall time", (profile) => duration(profile.wall_seconds)],
  ["Calls", (profile) => count(profile.calls)],
  ["Verdicts", (profile) => profile.verdicts && count(profile.verdicts)],
  ["Tokens generated", (profile) => profile.tokens.written && count(profile.tokens.written)],
  ["Generated per second", (profile) => profile.tokens_per_second.generate && count(Math.round(profile.tokens_per_second.generate))],
  ["Prompt tokens from the prefix cache", (profile) => Number.isFinite(profile.cache_hit_rate) && `${percent(profile.cache_hit_rate)}%`],
  ["Tokens trained on", (profile) => profile.tokens.trained && count(profile.tokens.trained)],
  ["Trained per second", (profile) => profile.tokens_per_second.train && count(Math.round(profile.tokens_per_second.train))],
  ["Model FLOPs utilisation, generating", (profile) => profile.flops_utilisation.generate && `${percent(profile.flops_utilisation.generate)}%`],
  ["Model FLOPs utilisation, training", (profile) => profile.flops_utilisation.train && `${percent(profile.flops_utilisation.train)}%`],
];

function timeSpent(run) {
  const stages = Object.entries(run.profiles);
  const title = "Where the time went";
  if (stages.length === 0) return null;
  const longest = Math.max(...stages.map(([, profile]) => profile.wall_seconds)) || 1;
  const wall = stages.reduce((sum, [, profile]) => sum + profile.wall_seconds, 0);
  const seconds = Object.fromEntries(
    WORK.map(([kind]) => [kind, stages.reduce((sum, [, profile]) => sum + (profile.seconds[kind] ?? 0), 0)]),
  );
  const shown = PROFILE_COLUMNS.filter(([, cell]) => stages.some(([, profile]) => cell(profile)));
  return section(
    "time",
    "Time",
    title,
    `${duration(wall)} in these stages: ${sharesOf(seconds, wall)}.`,
    h(
      "ul",
      { class: "legend" },
      WORK.filter(([kind]) => seconds[kind] >= wall / 1000).map(([, text, className]) => h("li", { class: className }, h("i", { "aria-hidden": "true" }), text)),
    ),
    stages.map(([stage, profile]) => {
      const shares = sharesOf(profile.seconds, profile.wall_seconds);
      const parts = WORK.map(([kind, name, className]) => {
        const value = profile.seconds[kind] ?? 0;
        return { name, value, className, title: `${name}: ${duration(value)}` };
      });
      return h(
        "figure",
        { class: "strip" },
        h("figcaption", {}, stage, h("span", { class: "range" }, `${duration(profile.wall_seconds)}: ${shares}`)),
        chart(`${stage}, ${duration(profile.wall_seconds)}: ${shares}`, (width) => stacked(Math.max(4, (width * profile.wall_seconds) / longest), parts)),
      );
    }),
    table("Time and tokens by stage", ["Stage", ...shown.map(([name]) => name)], stages.map(([stage, profile]) => [stage, ...shown.map(([, cell]) => cell(profile) || null)])),
    h(
      "p",
      { class: "small" },
      "“Waiting and other” is wall time of no other kind: loading a model to train, reading and writing files, making batches, waiting for other processes. Waiting for a server’s texts counts as generating.",
      shown.some(([name]) => name.startsWith("Model FLOPs")) &&
        " Model FLOPs utilisation counts 2·N operations per token that a model of N parameters reads or generates and 6·N per token that it is trained on, relative to the device’s dense bfloat16 peak.",
    ),
  );
}
