// A page on a run that goes on: what the stages are doing, and loading itself again without losing the place.

const STAGE_STATES = { finished: "✓", running: "…", failed: "✕", interrupted: "–" };

/** The state of each stage, as the run's record has it. */
function stages(run) {
  const found = Object.entries(run.manifests.run?.stages ?? {});
  if (!payload.live || found.length === 0) return null;
  const success = run.curves?.series.retry_success_rate?.findLast((value) => value !== null);
  const step = run.curves?.steps.at(-1);
  const of = run.manifests.run.identity?.train?.steps;
  return h(
    "div",
    { class: "notice live-stages", role: "status" },
    h("ul", { class: "legend" }, found.map(([name, stage]) => h("li", {}, h("b", { "aria-hidden": "true" }, STAGE_STATES[stage.state] ?? "?"), `${name} ${stage.state}`))),
    Number.isFinite(step) && h("p", {}, `Training: step ${count(step)}${Number.isFinite(of) ? ` of ${count(of)}` : ""}`, Number.isFinite(success) && `, retry success ${percent(success)}%`),
  );
}

const PLACE = "rrr-live-place";

function stored(value) {
  try {
    if (value === undefined) return JSON.parse(sessionStorage.getItem(PLACE));
    sessionStorage.setItem(PLACE, JSON.stringify(value));
  } catch {
    // Without storage the page starts at its top.
  }
  return null;
}

/** The section at the top of the window and how far it is scrolled, which survives that other sections grow. */
function placeNow() {
  const part = [...main.querySelectorAll("section")].find((each) => each.getBoundingClientRect().bottom > 80);
  return { id: part?.id, top: part?.getBoundingClientRect().top ?? 0, run: state.runs.indexOf(state.run), mode: state.mode, paused: live.paused };
}

const live = { paused: false, timer: 0 };

function schedule() {
  clearTimeout(live.timer);
  if (live.paused) return;
  live.timer = setTimeout(() => {
    const busy = help.open || document.activeElement?.closest?.("input, select, textarea, #episodes") || String(getSelection());
    if (busy) return schedule();
    location.reload();
  }, payload.live * 1000);
}

function liveButton() {
  if (!payload.live) return null;
  const toggle = () => {
    live.paused = !live.paused;
    schedule();
    drawControls();
  };
  const title = live.paused ? "Load the page again by itself" : `Loads itself again every ${short(payload.live)} s; press to stop`;
  return h("button", { type: "button", class: live.paused ? "quiet" : "quiet live", "aria-pressed": String(!live.paused), onclick: toggle, title }, live.paused ? "paused" : "live");
}

function resume() {
  if (!payload.live) return;
  addEventListener("pagehide", () => stored(placeNow()));
  const place = stored();
  if (place) {
    live.paused = place.paused === true;
    if (state.runs[place.run]) state.run = state.runs[place.run];
    state.mode = place.mode;
    // Charts get their height once they are drawn.
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        const part = place.id && document.getElementById(place.id);
        if (part) scrollTo({ top: scrollY + part.getBoundingClientRect().top - place.top, behavior: "instant" });
      }),
    );
  }
  schedule();
}
