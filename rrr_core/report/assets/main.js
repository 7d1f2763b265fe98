// The whole page: the chosen run and decoding mode, the theme, the keys, the contents.

const KEYS = [
  ["/", "search the episodes"],
  ["j  k", "next and previous episode"],
  ["↓ ↑  Page  Home  End", "move in the list of episodes"],
  ["Enter", "read the selected episode"],
  ["Esc", "back to the list"],
  ["← →", "move over trained tokens or along a curve"],
  ["t", "light, dark, or the system's theme"],
  ["?", "this help"],
];
const THEMES = ["auto", "light", "dark"];

const payload = JSON.parse(document.getElementById("data").textContent);
const everything = unpack(payload);
const main = document.getElementById("main");
const help = document.getElementById("help");
const state = { runs: payload.runs, run: payload.runs[0], mode: null, theme: "auto", keys: {} };

function remembered(value) {
  try {
    if (value === undefined) return localStorage.getItem("rrr-theme");
    localStorage.setItem("rrr-theme", value);
  } catch {
    // A page opened from a file may have no storage; then the choice is lost on reload.
  }
  return null;
}

function setTheme(theme) {
  state.theme = THEMES.includes(theme) ? theme : "auto";
  document.documentElement.dataset.theme = state.theme;
  remembered(state.theme);
  drawControls();
}

const nextTheme = () => setTheme(THEMES[(THEMES.indexOf(state.theme) + 1) % THEMES.length]);

function drawControls() {
  const modes = modesOf(state.run);
  const held = document.activeElement?.closest?.("#controls") && document.activeElement.textContent;
  const box = document.getElementById("controls");
  box.replaceChildren(
    ...[
      state.runs.length > 1 && dropdown("Run", state.runs.map((run, index) => [index, run.name]), state.runs.indexOf(state.run), chooseRun),
      liveButton(),
      modes.length > 1 && choice("Decoding", modes.map((mode) => [mode, mode]), state.mode, chooseMode),
      h("button", { type: "button", class: "quiet", onclick: nextTheme, title: "Theme (t)" }, `◐ ${state.theme}`),
      h("button", { type: "button", class: "quiet", onclick: () => help.showModal(), title: "Keys (?)", "aria-label": "Keyboard help" }, "?"),
    ].filter(Boolean),
  );
  if (held) [...box.querySelectorAll("button")].find((button) => button.textContent.slice(0, 1) === held.slice(0, 1))?.focus();
}

function chooseRun(index) {
  state.run = state.runs[Number(index)];
  state.mode = null;
  drawAll();
}

function chooseMode(mode) {
  state.mode = mode;
  const parts = detailParts().filter(Boolean);
  const old = parts.map((part) => document.getElementById(part.id));
  if (old.includes(null)) return drawAll();
  parts.forEach((part, index) => old[index].replaceWith(part));
  drawControls();
}

const detailParts = () => [
  beforeAfter(payload, everything, state, state.mode),
  controls(payload.words, state.run, state.mode),
  rounds(payload.words, state.run, state.mode),
  deciders(state.run, state.mode),
  corrected(payload.words, state.run, state.mode),
  transitions(state.run, state.mode),
  errorClasses(state.run, state.mode),
  reflections(payload, state.run, state.mode),
];

function drawAll() {
  const modes = modesOf(state.run);
  state.mode = modes.includes(state.mode) ? state.mode : (state.run.evidence.mode ?? modes[0] ?? null);
  const episodes = browser(payload, everything, state);
  state.keys = episodes.keys;
  state.openEpisode = episodes.open;
  const [pairs, ...details] = state.mode ? detailParts() : [];
  main.replaceChildren(
    ...[
      headline(state.run),
      stages(state.run),
      pairs,
      inNumbers(state.run),
      checks(state.run),
      missingNotes(state.run),
      ...transfers(payload),
      sideBySide(state, chooseRun),
      ...details,
      forgetting(state.run),
      curves(state),
      mining(state.run),
      timeSpent(state.run),
      episodes.node,
      manifests(state.run),
    ].filter(Boolean),
  );
  document.title = plain(`${state.run.name} – rrr report`);
  document
    .getElementById("contents")
    .replaceChildren(...[...main.querySelectorAll("section[data-title]")].map((part) => h("a", { href: `#${part.id}` }, part.dataset.title)));
  drawControls();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const typing = event.target.closest?.("input, select, textarea");
  if (typing && event.key !== "Escape") return;
  const keys = { ...state.keys, t: nextTheme, "?": () => help.showModal() };
  if (!Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
});

help.append(
  h("h2", { id: "help-title" }, "Keys"),
  h("dl", {}, KEYS.map(([key, text]) => fact(h("kbd", {}, key), text))),
  h("form", { method: "dialog" }, h("button", { autofocus: true }, "Close")),
);
document.getElementById("foot").append(`Written ${payload.written} by rrr ${payload.version}. This page loads nothing from the network.`);
setTheme(remembered());
resume();
drawAll();
