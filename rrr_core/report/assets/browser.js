// The episode browser: filters and search, a list that renders only visible rows, and the open episode.

const ROW_HEIGHT = 58;
const MARGIN_ROWS = 6;

const ORDERS = {
  row: ["row", (one, other) => one.rowIndex - other.rowIndex || (one.step ?? 0) - (other.step ?? 0)],
  step: ["step", (one, other) => (one.step ?? -1) - (other.step ?? -1) || one.rowIndex - other.rowIndex],
  high: ["advantage, highest first", (one, other) => (other.advantage ?? -Infinity) - (one.advantage ?? -Infinity)],
  low: ["advantage, lowest first", (one, other) => (one.advantage ?? Infinity) - (other.advantage ?? Infinity)],
  long: ["longest reflection", (one, other) => (other.reflectionTokens ?? -1) - (one.reflectionTokens ?? -1)],
};

/** The indices of the texts that contain `query`, ignoring case. */
function textsWith(payload, query) {
  payload.lowered ??= payload.texts.map((text) => text.toLowerCase());
  const hits = new Set();
  payload.lowered.forEach((text, index) => text.includes(query) && hits.add(index));
  return hits;
}

function mentions(episode, hits) {
  return (
    hits.has(episode.row) ||
    episode.segments.some(
      ({ role, text, thought, messages, verdict }, place) =>
        hits.has(text) ||
        hits.has(thought) ||
        // Requests for a reflection or a retry are nearly the same in every episode.
        ((place === 0 || role === "observation") && messages.some(([, content]) => hits.has(content))) ||
        (verdict && (hits.has(verdict.category) || hits.has(verdict.detail))),
    ) ||
    episode.controls.some((control) => hits.has(control.answer))
  );
}

/** Of the last round's retry; `none` without a round. */
const lastOutcome = (episode) => (episode.verdicts.length > 1 ? episode.verdicts.at(-1).outcome : "none");

/** The episodes of `all` that pass `filter`, in the filter's order. */
function filtered(payload, all, filter) {
  const query = filter.query.trim().toLowerCase();
  const hits = query ? textsWith(payload, query) : null;
  const rowAsked = /^row (\d+)$/.exec(query)?.[1];
  const [from, to] = [filter.from === "" ? -Infinity : Number(filter.from), filter.to === "" ? Infinity : Number(filter.to)];
  const limited = filter.from !== "" || filter.to !== "";
  return all
    .filter(
      (episode) =>
        (filter.set === "" || payload.sets.indexOf(episode.set) === Number(filter.set)) &&
        (filter.first === "" || episode.first.outcome === filter.first) &&
        (filter.second === "" || (episode.second?.outcome ?? "none") === filter.second) &&
        (filter.last === "" || lastOutcome(episode) === filter.last) &&
        (filter.kind === "" || episode.verdicts.some((verdict) => verdict?.outcome === "failed" && payload.texts[verdict.category] === filter.kind)) &&
        (!limited || (episode.step !== null && episode.step >= from && episode.step <= to)) &&
        (!hits || (rowAsked ? episode.rowIndex === Number(rowAsked) : mentions(episode, hits))),
    )
    .sort(ORDERS[filter.order][1]);
}

function browser(payload, everything, state) {
  const all = everything.filter((episode) => state.runs[episode.set.run] === state.run);
  const sets = payload.sets.filter((set) => state.runs[set.run] === state.run);
  if (all.length === 0) return { node: null, keys: {}, open: () => {} };
  const limit = Math.max(1, ...all.flatMap((episode) => [episode, ...episode.segments].map((one) => Math.abs(one.advantage ?? 0))));
  const kinds = [...new Set(all.flatMap((episode) => episode.verdicts).filter((verdict) => verdict?.outcome === "failed").map((verdict) => payload.texts[verdict.category]))].filter(Boolean).sort();
  const filter = { query: "", set: "", first: "", second: "", last: "", kind: "", from: "", to: "", order: "row" };
  let found = [];
  let selected = 0;

  const counter = h("p", { class: "found", role: "status" });
  const rows = h("div", { class: "rows" });
  const list = h("div", { class: "list", role: "listbox", tabindex: "0", "aria-label": "Episodes", id: "episode-list" }, rows);
  const detail = h("article", { class: "episode", "aria-labelledby": "episode-title", id: "episode" });

  const draw = () => {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW_HEIGHT) - MARGIN_ROWS);
    const last = Math.min(found.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW_HEIGHT) + MARGIN_ROWS);
    rows.replaceChildren(...found.slice(first, last).map((episode, offset) => row(episode, first + offset)));
    if (found.length) list.setAttribute("aria-activedescendant", `option-${selected}`);
    else list.removeAttribute("aria-activedescendant");
  };

  const row = (episode, place) => {
    const excerpt = payload.texts[episode.reflection ?? episode.attempt].slice(0, 140).replace(/\s+/g, " ");
    return h(
      "div",
      {
        class: "option",
        role: "option",
        id: `option-${place}`,
        "aria-selected": String(place === selected),
        "aria-setsize": found.length,
        "aria-posinset": place + 1,
        vars: { transform: `translateY(${place * ROW_HEIGHT}px)` },
        onclick: () => select(place),
      },
      h(
        "div",
        { class: "option-head" },
        way(episode),
        h("span", { class: "option-set" }, setName(episode.set)),
        h("span", { class: "option-row" }, `row ${count(episode.rowIndex)}`),
        episode.step !== null && h("span", { class: "option-row" }, `step ${count(episode.step)}`),
        episode.advantage !== null && coloured(h("span", { class: "chip" }, signed(episode.advantage, 2)), episode.advantage, limit),
      ),
      h("div", { class: "excerpt" }, excerpt),
    );
  };

  const show = (episode) => detail.replaceChildren(...[episodeView(payload, all, episode, limit, open)].flat(Infinity).filter(Boolean));

  const select = (place, { reveal = true } = {}) => {
    if (found.length === 0) return;
    selected = Math.max(0, Math.min(found.length - 1, place));
    if (reveal) {
      const top = selected * ROW_HEIGHT;
      if (top < list.scrollTop) list.scrollTop = top;
      else if (top + ROW_HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_HEIGHT - list.clientHeight;
    }
    show(found[selected]);
    draw();
  };

  /** Opens an episode, clearing the filters if they hide it. */
  const open = (episode) => {
    if (!found.includes(episode)) {
      Object.assign(filter, { query: "", set: "", first: "", second: "", last: "", kind: "", from: "", to: "" });
      form.replaceWith((form = filters()));
      apply();
    }
    select(found.indexOf(episode));
    detail.querySelector("h3").focus({ preventScroll: true });
  };

  const apply = () => {
    found = filtered(payload, all, filter);
    counter.textContent = `${count(found.length)} of ${count(all.length)} episodes`;
    rows.style.setProperty("height", `${found.length * ROW_HEIGHT}px`);
    list.scrollTop = 0;
    selected = 0;
    if (found.length) select(0);
    else {
      draw();
      detail.replaceChildren(absent("No episode passes these filters."));
    }
  };

  let wait = 0;
  const filters = () => {
    const set = (name) => (value) => {
      filter[name] = value;
      apply();
    };
    const search = h("input", {
      type: "search",
      id: "search",
      placeholder: "Search texts, or “row 12”",
      "aria-label": "Search episodes",
      "aria-keyshortcuts": "/",
      autocomplete: "off",
      spellcheck: "false",
      value: filter.query,
      oninput: (event) => {
        clearTimeout(wait);
        wait = setTimeout(() => set("query")(event.target.value), 120);
      },
    });
    const step = (name, text) =>
      h("label", { class: "field" }, h("span", {}, text), h("input", { type: "number", min: "0", value: filter[name], oninput: (event) => set(name)(event.target.value) }));
    const outcomes = [["", "any"], ["passed", "✓ right"], ["failed", "✕ wrong"], ["abstained", "∅ withheld"]];
    const hasRounds = all.some((episode) => episode.verdicts.length > 2);
    const hasSteps = all.some((episode) => episode.step !== null);
    return h(
      "form",
      { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
      search,
      dropdown("Model", [["", "all"], ...sets.map((each) => [payload.sets.indexOf(each), setName(each)])], filter.set, set("set")),
      dropdown("First try", outcomes, filter.first, set("first")),
      dropdown("Second try", [...outcomes, ["none", "none"]], filter.second, set("second")),
      hasRounds && dropdown("Last try", [...outcomes, ["none", "none"]], filter.last, set("last")),
      dropdown("Error", [["", "any"], ...kinds.map((kind) => [kind, kind])], filter.kind, set("kind")),
      hasSteps && step("from", "Step from"),
      hasSteps && step("to", "to"),
      dropdown("Order", Object.entries(ORDERS).map(([name, [text]]) => [name, text]), filter.order, set("order")),
    );
  };

  let form = filters();
  let frame = 0;
  list.addEventListener("scroll", () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  });
  const page = () => Math.max(1, Math.floor(list.clientHeight / ROW_HEIGHT) - 1);
  const enter = () => {
    const title = detail.querySelector("h3");
    title?.focus({ preventScroll: true });
    title?.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  };
  list.addEventListener("keydown", (event) => {
    const moves = {
      ArrowDown: () => select(selected + 1),
      ArrowUp: () => select(selected - 1),
      PageDown: () => select(selected + page()),
      PageUp: () => select(selected - page()),
      Home: () => select(0),
      End: () => select(found.length - 1),
      Enter: enter,
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  });
  const bySet = sets.map((set) => `${setName(set)}: ${count(set.shown)} of ${count(set.total)}`).join("; ");
  const node = section(
    "episodes",
    "Episodes",
    "Episodes",
    "Some of each outcome first, then a random sample; the same rows for every model.",
    h("p", { class: "small" }, `On this page: ${bySet}.`),
    form,
    counter,
    h("div", { class: "browser" }, list, detail),
  );
  new ResizeObserver(draw).observe(list);
  apply();
  const step = (size) => {
    list.focus({ preventScroll: true });
    node.querySelector(".browser").scrollIntoView({ block: "nearest" });
    select(selected + size);
  };
  return {
    node,
    open: (episode) => {
      open(episode);
      node.querySelector(".browser").scrollIntoView({ block: "start" });
    },
    keys: {
      "/": () => {
        const search = node.querySelector("#search");
        search.focus();
        search.select();
      },
      j: () => step(1),
      k: () => step(-1),
      Escape: () => list.focus(),
    },
  };
}
