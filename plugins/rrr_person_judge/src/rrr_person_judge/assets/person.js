// The judge's page: asks the server what to judge, shows one answer at a time, and sends back verdicts.

const KEYS = [
  ["p", "the answer passes"],
  ["f", "it fails; then its error class, or Enter for none"],
  ["?", "you are not sure: the verdict is withheld"],
  ["← →", "the previous and next answer; a verdict can be changed"],
  ["u", "take the last verdict back"],
  ["r", "show or hide the row, as the data set gives it"],
  ["Enter", "when all are judged: hand them to the job"],
  ["Esc", "leave a field or this help"],
  ["h", "this help"],
];
const NAMES = { passed: "passed", failed: "failed", abstained: "not sure" };
/** Characters of an answer that are shown at first. */
const MOST = 20000;
/** Milliseconds between two polls of the server. */
const PAUSE = 1500;

const main = document.getElementById("main");
const actions = document.getElementById("actions");
const help = document.getElementById("help");
let state = { sitting: null, outcomes: [], categories: [] };
/** The item that is shown, or null. */
let item = null;
let index = -1;
/** One changing request at a time, so two quick keys never judge one answer twice. */
let busy = false;
let misses = 0;
/** What the page shows besides an item: "", "done", "waiting", "ended". */
let pane = "";
let showsRow = false;

const key = (name) => h("kbd", { class: "key", "aria-hidden": "true" }, name);
const say = (text) => (document.getElementById("status").textContent = text);
const judged = () => state.outcomes.filter(Boolean).length;

/** The server refused, and said why. */
class Refusal extends Error {}
/** The server does not answer: the job has ended, and the server with it. */
class Silence extends Error {}

async function ask(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options).catch((error) => {
    throw new Silence(error.message);
  });
  if (!answer.ok) throw new Refusal(await answer.text());
  return answer.json();
}

/** Show a server error; any other is a bug in this page, and goes to the console. */
function report(error) {
  if (error instanceof Refusal) drawNotice(error.message);
  else if (error instanceof Silence) drawEnded();
  else throw error;
}

/** The first item without a verdict after `after`, wrapping around to the start; -1 if all have one. */
function nextOpen(after) {
  const later = state.outcomes.indexOf("", after + 1);
  return later >= 0 ? later : state.outcomes.indexOf("");
}

/** Adopt the server's state. A new batch is shown from its first open item. */
async function adopt(fresh) {
  const another = fresh.sitting !== state.sitting;
  state = { outcomes: [], categories: [], ...fresh };
  drawHead();
  if (state.sitting === null) drawWaiting();
  else if (another || pane === "waiting" || pane === "ended") await move(nextOpen(-1));
}

/** Poll the server. */
async function look() {
  try {
    const fresh = busy ? null : await ask("state");
    misses = 0;
    if (fresh && !busy) await adopt(fresh);
  } catch (error) {
    // Once may be a hiccup.
    if (!(error instanceof Silence) || ++misses >= 2) report(error);
  } finally {
    setTimeout(look, PAUSE);
  }
}

/** Show an item, or a summary if there is none left to judge (-1). */
async function move(to) {
  if (to === -1) return drawDone();
  if (to < 0 || to >= state.outcomes.length) return;
  const sitting = state.sitting;
  const found = await ask(`item?sitting=${sitting}&index=${to}`);
  if (sitting !== state.sitting) return;
  item = found;
  index = to;
  drawItem();
}

/** Send the person's decision, then run what follows. */
async function decide(path, body, then) {
  if (busy || state.sitting === null) return;
  busy = true;
  try {
    const fresh = await ask(path, { sitting: state.sitting, ...body });
    await adopt(fresh);
    if (state.sitting !== null) await then(fresh);
  } catch (error) {
    report(error);
  } finally {
    busy = false;
  }
}

function give(outcome, category = "") {
  if (pane !== "" || !item) return;
  const at = index;
  decide("verdict", { index: at, outcome, category }, async () => {
    say(`Answer ${at + 1}: ${NAMES[outcome]}.`);
    await move(nextOpen(at));
  });
}

function undo() {
  decide("undo", {}, async (fresh) => {
    say(fresh.undone === null ? "Nothing to undo." : `Took back the verdict on answer ${fresh.undone + 1}.`);
    if (fresh.undone !== null) await move(fresh.undone);
  });
}

const finish = () => decide("finish", {}, async () => {});
const stop = () => decide("stop", {}, async () => {});

function step(by) {
  if (state.sitting === null || busy) return;
  const to = pane === "done" ? state.outcomes.length - 1 : index + by;
  if (pane === "done" && by > 0) return;
  if (to === state.outcomes.length && judged() === to) drawDone();
  else if (to >= 0) move(to).catch(report);
}

function drawHead() {
  const total = state.outcomes.length;
  document.getElementById("task").textContent = plain(`judge · ${state.task}`);
  document.getElementById("count").textContent = total ? `${count(judged())} of ${count(total)} judged` : "";
  const bar = document.getElementById("progress");
  bar.hidden = !total;
  bar.max = total || 1;
  bar.value = judged();
  document.title = total ? `${judged()} of ${total} · rrr judge` : "rrr judge";
}

function drawItem() {
  pane = "";
  const total = state.outcomes.length;
  const words = h("div", { class: "text", role: "region", "aria-label": `Answer ${index + 1} of ${total}`, tabindex: "0" }, answerWords(false));
  main.replaceChildren(
    h(
      "div",
      { class: "sides" },
      h(
        "section",
        { class: "side question", "aria-labelledby": "question-title" },
        h("header", {}, h("h2", { id: "question-title" }, "Question")),
        h("div", { class: "text", role: "region", "aria-label": "Question", tabindex: "0" }, questionWords()),
      ),
      h(
        "section",
        { class: "side answer", "aria-labelledby": "answer-title" },
        h("header", {}, h("h2", { id: "answer-title" }, `Answer ${count(index + 1)} of ${count(total)}`), verdictNote()),
        words,
      ),
    ),
  );
  drawActions();
  words.focus({ preventScroll: true });
  scrollTo({ top: 0, behavior: "instant" });
}

function verdictNote() {
  if (!item.outcome) return null;
  return h("p", { class: `verdict ${item.outcome}` }, h("strong", {}, NAMES[item.outcome]), item.category && h("span", { class: "detail" }, item.category));
}

function questionWords() {
  const many = item.question.length > 1;
  return [
    item.question.map((message) => [
      many && h("h3", { class: "role" }, message.role),
      h("div", { class: "words", dir: "auto" }, message.content),
    ]),
    h(
      "details",
      { open: showsRow, ontoggle: (event) => (showsRow = event.target.open) },
      h("summary", {}, "The row, as the data set gives it"),
      h("pre", {}, item.row),
    ),
  ];
}

function answerWords(whole) {
  const text = item.answer;
  if (!text) return h("p", { class: "absent" }, "Nothing was written.");
  if (whole || text.length <= MOST) return h("div", { class: "words", dir: "auto" }, text);
  const region = () => main.querySelector(".answer .text");
  const button = h("button", { type: "button", class: "more", onclick: () => region().replaceChildren(...[answerWords(true)].flat()) }, `Show all ${count(text.length)} characters`);
  return [h("div", { class: "words", dir: "auto" }, text.slice(0, MOST) + "…"), button];
}

function drawActions() {
  const pressed = (outcome) => (item.outcome ? String(item.outcome === outcome) : null);
  const verdict = (outcome, className, name, letter, click) =>
    h("button", { type: "button", class: className, "aria-pressed": pressed(outcome), "aria-keyshortcuts": letter, onclick: click }, name, key(letter));
  actions.replaceChildren(
    h(
      "div",
      { class: "give" },
      verdict("passed", "pass", "Pass", "p", () => give("passed")),
      verdict("failed", "fail", "Fail", "f", drawReason),
      verdict("abstained", "unsure", "Not sure", "?", () => give("abstained")),
    ),
    ways(),
  );
}

function ways() {
  const way = (name, letter, click, disabled) =>
    h("button", { type: "button", "aria-keyshortcuts": letter === "←" ? "ArrowLeft" : letter === "→" ? "ArrowRight" : letter, onclick: click, disabled }, key(letter), name);
  const end = state.outcomes.length - 1;
  return h(
    "div",
    { class: "ways" },
    h(
      "div",
      {},
      way("Before", "←", () => step(-1), pane !== "done" && index <= 0),
      way("After", "→", () => step(1), pane === "done" || (index >= end && judged() <= end)),
      way("Undo", "u", undo, judged() === 0),
    ),
    h("div", {}, way("Help", "h", showHelp), h("button", { type: "button", onclick: stop }, "Stop for now")),
  );
}

/** Ask for the error class of a failure. */
function drawReason() {
  if (pane !== "" || !item || busy) return;
  const field = h("input", { id: "reason", name: "reason", list: "reasons", maxlength: "80", autocomplete: "off", placeholder: "none", value: item.outcome === "failed" ? item.category : "" });
  const back = () => {
    drawActions();
    main.querySelector(".answer .text")?.focus({ preventScroll: true });
  };
  actions.replaceChildren(
    h(
      "form",
      {
        class: "reason",
        onsubmit: (event) => {
          event.preventDefault();
          give("failed", field.value);
        },
        onkeydown: (event) => event.key === "Escape" && back(),
      },
      h("label", { for: "reason" }, "What is wrong?"),
      field,
      h("datalist", { id: "reasons" }, state.categories.map((name) => h("option", { value: name }))),
      h("button", { type: "submit", class: "fail" }, "Fail", key("Enter")),
      h("button", { type: "button", onclick: back }, "Back", key("Esc")),
    ),
  );
  field.focus();
}

/** A page with nothing to judge: a title and some text. */
function drawQuiet(name, title, paragraphs, ...rest) {
  if (pane === name && main.querySelector("h2")?.textContent === title) return;
  pane = name;
  item = null;
  main.replaceChildren(h("div", { class: "quiet-page" }, h("h2", {}, title), paragraphs.map((text) => h("p", {}, text)), ...rest));
  actions.replaceChildren();
  say(title);
  main.focus({ preventScroll: true });
}

function drawDone() {
  const tally = (outcome) => count(state.outcomes.filter((each) => each === outcome).length);
  pane = "";
  drawQuiet(
    "done",
    state.outcomes.length === 1 ? "The one answer is judged" : `All ${count(state.outcomes.length)} answers are judged`,
    [`${tally("passed")} passed, ${tally("failed")} failed, ${tally("abstained")} you were not sure about. Once the job has them, you can no longer take them back here.`],
    h("div", { class: "give" }, h("button", { type: "button", class: "pass", onclick: finish }, "Hand over to the job", key("Enter"))),
  );
  actions.replaceChildren(ways());
}

const drawWaiting = () => drawQuiet("waiting", "Waiting for answers", ["The job is running. This page updates automatically when there is something to judge."]);

function drawEnded() {
  state = { ...state, sitting: null, outcomes: [] };
  drawHead();
  drawQuiet("ended", "The job has ended", ["Or it was stopped. Every verdict you gave is saved, and the same command resumes. You can close this page."]);
}

function drawNotice(text) {
  main.querySelector(".notice")?.remove();
  main.prepend(h("p", { class: "notice", role: "alert" }, text));
}

function showHelp() {
  help.replaceChildren(
    h("h2", { id: "help-title" }, "Keys"),
    h("dl", {}, KEYS.map(([name, meaning]) => h("div", {}, h("dt", {}, h("kbd", {}, name)), h("dd", {}, meaning)))),
    h("form", { method: "dialog" }, h("button", {}, "Close")),
  );
  help.showModal();
}

function toggleRow() {
  const row = main.querySelector("details");
  if (row) row.open = !row.open;
}

const ACTS = {
  p: () => give("passed"),
  f: drawReason,
  "?": () => give("abstained"),
  u: undo,
  r: toggleRow,
  h: showHelp,
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  Enter: () => pane === "done" && finish(),
};

addEventListener("keydown", (event) => {
  // A held key must not judge an answer that has not been seen.
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (event.target.closest?.("input, form")) return;
  if (event.key === "Enter" && event.target.closest?.("button, summary")) return;
  const act = ACTS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

look();
