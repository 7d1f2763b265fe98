// Makes text written by models safe to look at: invisible characters and those that reorder a line become labels.

const ODD =
  /([\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|[\ud800-\udfff])\1*|\p{M}{9,}/gu;

const ODD_NAMES = {
  0x00: "null",
  0x07: "bell",
  0x08: "backspace",
  0x0d: "carriage return",
  0x1b: "escape",
  0x7f: "delete",
  0xad: "soft hyphen",
  0x61c: "Arabic letter mark",
  0x200b: "zero-width space",
  0x200e: "left-to-right mark",
  0x200f: "right-to-left mark",
  0x2028: "line separator",
  0x2029: "paragraph separator",
  0x202a: "left-to-right embedding",
  0x202b: "right-to-left embedding",
  0x202c: "pop directional formatting",
  0x202d: "left-to-right override",
  0x202e: "right-to-left override",
  0x2060: "word joiner",
  0x2066: "left-to-right isolate",
  0x2067: "right-to-left isolate",
  0x2068: "first strong isolate",
  0x2069: "pop directional isolate",
  0xfeff: "zero-width no-break space",
};

const MOST_BADGES = 1500;

const codeName = (code) => "U+" + code.toString(16).toUpperCase().padStart(4, "0");

const CONTROLS =
  "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US".split(" ");

/** A match of ODD: its label, how often it is repeated, and its full name. Piles of combining marks count too, since
 *  they hide letters and reach over other lines. */
function oddRun(match) {
  const codes = [...match].map((character) => character.codePointAt(0));
  const repeated = codes.every((code) => code === codes[0]);
  if (!repeated || /^\p{M}/u.test(match)) return { label: "marks", count: codes.length, name: "combining marks" };
  const label = CONTROLS[codes[0]] ?? codeName(codes[0]);
  return { label, count: codes.length, name: `${codeName(codes[0])} ${ODD_NAMES[codes[0]] ?? ""}`.trim() };
}

/** `text` as a string without odd characters, for attributes, options and chart labels. */
function plain(text) {
  return String(text).replace(ODD, (match) => {
    const { label, count } = oddRun(match);
    return `[${label}${count > 1 ? " ×" + count : ""}]`;
  });
}

/** `text` as a fragment in which each run of an odd character is a labelled badge. */
function visible(text) {
  const fragment = document.createDocumentFragment();
  const source = String(text);
  let from = 0;
  let badges = 0;
  for (const match of source.matchAll(ODD)) {
    if (++badges > MOST_BADGES) break;
    fragment.append(source.slice(from, match.index));
    const { label, count, name } = oddRun(match[0]);
    const badge = document.createElement("span");
    badge.className = "odd";
    badge.title = name + (count > 1 ? `, ${count} times` : "");
    badge.textContent = label + (count > 1 ? `×${count}` : "");
    fragment.append(badge);
    from = match.index + match[0].length;
  }
  const rest = source.slice(from);
  fragment.append(badges > MOST_BADGES ? plain(rest) : rest);
  return fragment;
}

const integer = new Intl.NumberFormat("en-GB");
const count = (value) => (Number.isFinite(value) ? integer.format(value) : "–");
const percent = (share, digits = 1) => (Number.isFinite(share) ? fixed(share * 100, digits) : "–");

/** A number with so many decimals, a tie to the even digit as the terminal has it: 35.25 is 35.2. */
function fixed(value, digits) {
  const halves = value * 2 * 10 ** digits;
  const isTie = Number.isInteger(value * 2 ** (digits + 1)) && halves % 2 === 1;
  return (isTie ? (2 * Math.round(halves / 4)) / 10 ** digits : value).toFixed(digits);
}

/** A number with its sign, a true minus, and no sign on zero. */
function signed(value, digits = 1) {
  if (!Number.isFinite(value)) return "–";
  const size = fixed(Math.abs(value), digits);
  return Number(size) === 0 ? size : (value > 0 ? "+" : "−") + size;
}

const points = (share) => signed(share * 100);

function probability(p) {
  if (!Number.isFinite(p)) return "";
  return p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(p < 0.1 ? 3 : 2)}`;
}

/** `text` with a capital first letter. */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A number of any size in a few characters. */
function short(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e6)) return value.toExponential(1).replace("-", "−");
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

/** Seconds as unbroken text for a reader: `0.4 s`, `34 s`, `2 min 10 s`, `3 h 5 min`. */
function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 9.95) return `${seconds.toFixed(1)}\u00a0s`;
  const units = seconds < 3599.5 ? ["min", "s"] : ["h", "min"];
  const small = Math.round(units[1] === "s" ? seconds : seconds / 60);
  const parts = [[Math.floor(small / 60), units[0]], [small % 60, units[1]]];
  return parts.filter(([size]) => size > 0).flat().join("\u00a0");
}
