// Builds DOM elements; strings only ever become text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element; strings among `children` pass through `visible`, attributes through `plain`. */
function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children, visible);
}

/** An SVG element; all strings pass through `plain`. */
function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children, plain);
}

function fill(element, attributes, children, written) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const key in value) element.style.setProperty(key, value[key]);
    else element.setAttribute(name, value === true ? "" : plain(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : written(child));
  }
  return element;
}

let identifiers = 0;
const identifier = (stem) => `${stem}-${++identifiers}`;

/** A section of the page, listed in the contents by its short name. */
function section(id, short, title, lead, ...children) {
  return h(
    "section",
    { id, "aria-labelledby": `${id}-title`, "data-title": short },
    h("h2", { id: `${id}-title` }, title),
    lead && h("p", { class: "lead" }, lead),
    ...children,
  );
}

/** A table that scrolls sideways if the screen is too narrow. */
function table(caption, head, rows, className = "") {
  return h(
    "div",
    { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h(
      "table",
      { class: className },
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, head.map((cell) => h("th", { scope: "col" }, cell)))),
      h(
        "tbody",
        {},
        rows.map(([first, ...rest]) =>
          h("tr", {}, h("th", { scope: "row" }, first), rest.map((cell) => h("td", {}, cell ?? "–"))),
        ),
      ),
    ),
  );
}

const absent = (text) => h("p", { class: "absent" }, text);

/** A figure whose SVG is redrawn for every width, so its text keeps its size. */
function chart(label, draw) {
  const box = h("div", { class: "chart" });
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now === width || now === 0) return;
    width = now;
    const svg = draw(width);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", plain(label));
    box.replaceChildren(svg);
  }).observe(box);
  return box;
}

/** A row of buttons of which one is chosen. */
function choice(label, options, current, choose) {
  return h(
    "div",
    { class: "choice", role: "group", "aria-label": label },
    options.map(([value, text]) =>
      h("button", { type: "button", "aria-pressed": String(value === current), onclick: () => choose(value) }, text),
    ),
  );
}

/** A labelled drop-down; `options` are `[value, text]`. */
function dropdown(label, options, current, choose) {
  return h(
    "label",
    { class: "field" },
    h("span", {}, label),
    h(
      "select",
      { onchange: (event) => choose(event.target.value) },
      options.map(([value, text]) => h("option", { value, selected: String(value) === String(current) }, plain(text))),
    ),
  );
}

/** The colour class of a model: grey before training, teal for the trained model, a third colour for all others. */
const seriesClass = (run, label) => {
  if (label === run.evidence.baseline) return "series-before";
  if (label === run.evidence.trained) return "series-after";
  return "series-other";
};

const legend = (run, labels) =>
  h(
    "ul",
    { class: "legend" },
    labels.map((label) => h("li", { class: seriesClass(run, label) }, h("i", { "aria-hidden": "true" }), label)),
  );
