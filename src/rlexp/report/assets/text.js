// Texts of models and of strangers: shown whole, as they are, with special tokens and invisible characters to be seen.
const SPECIAL = /<\|[^<>|\s]{1,40}\|>|<\/?s>|<(?:pad|bos|eos|unk|mask|start_of_turn|end_of_turn|begin_of_text|end_of_text)>|\[\/?INST\]|<<\/?SYS>>|<｜[^<>｜]{1,40}｜>/;
// Control and format characters, marks of direction, zero widths, private use, halves of pairs, separators; what joins
// the parts of an emoji is left alone.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]+/u;
const MARKED = new RegExp(`(${SPECIAL.source})|((?:(?![\\n\\t])(?!(?<=\\p{Extended_Pictographic}\\uFE0F?)\\u200D)(?:${INVISIBLE.source.replace("]+", "]")}))+)`, "gu");
const TURN = /<\|im_start\|>([^\s<>]{1,30})\n?|<\|start_header_id\|>([^\s<>]{1,30})<\|end_header_id\|>\n*|<start_of_turn>([^\s<>]{1,30})\n?|<\|(user|assistant|system|tool)\|>\n?/g;
const MOST_MARKS = 4000;

function codes(text) {
  return Array.from(text, (one) => `U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`).join(" ");
}

/** The nodes of a text. Of one with thousands of marks all are written out, and none stands out. */
function nodes(text) {
  const found = [];
  let from = 0, marks = 0;
  MARKED.lastIndex = 0;
  for (let match; (match = MARKED.exec(text)); ) {
    if (++marks > MOST_MARKS) return [text.replace(MARKED, (all, special) => special ?? `[${codes(all)}]`)];
    if (match.index > from) found.push(text.slice(from, match.index));
    found.push(match[1] !== undefined
      ? make("span", { className: "special", title: "a special token, as text" }, match[1])
      : make("span", { className: "invisible", title: "characters that are not seen" }, codes(match[2])));
    from = match.index + match[0].length;
  }
  if (from < text.length) found.push(text.slice(from));
  return found;
}

function said(text, kind = "") {
  const box = make("div", { className: `said ${kind}`, dir: "auto", tabIndex: 0 });
  if (text === "") box.append(make("span", { className: "empty" }, "(empty)"));
  else box.append(...nodes(text));
  return box;
}

/** The turns of a dialogue: messages, or a text with the marks of a chat template; null of anything else. */
function turns(value) {
  if (Array.isArray(value) && value.length && value.every((one) => one && typeof one.role === "string" && "content" in one))
    return value.map((one) => ({ role: one.role, text: typeof one.content === "string" ? one.content : JSON.stringify(one.content) }));
  if (typeof value !== "string") return null;
  const marks = [...value.matchAll(TURN)];
  if (!marks.length) return null;
  const found = marks[0].index > 0 ? [{ role: "", text: value.slice(0, marks[0].index) }] : [];
  marks.forEach((mark, n) => found.push({
    role: mark[1] ?? mark[2] ?? mark[3] ?? mark[4],
    text: value.slice(mark.index, marks[n + 1]?.index ?? value.length),
  }));
  return found;
}

/** A text, or a dialogue turn by turn. */
function shownText(value, kind = "") {
  const found = turns(value);
  if (!found || found.length > 500) return said(typeof value === "string" ? value : JSON.stringify(value), kind);
  const known = ["user", "assistant", "system"];
  return make("div", { className: "turns" }, ...found.map((turn) =>
    make("div", { className: `turn ${known.includes(turn.role) ? turn.role : ""}` },
      turn.role ? make("p", { className: "label" }, make("bdi", {}, turn.role)) : null,
      said(turn.text, kind))));
}
