// Which completions meet the filters, in which order; and the histogram of their scores, whose bars filter.
const BINS = 20;
const FEW = 8; // values that have a bar each, with its label
const NO_SCORE = "no score";
const binned = new Map();

/** The bins of a term: every value its own where there are few, else equal parts of the way from the lowest to the
 * highest; the last is of rows without a score. ``edges`` are the labels under the bars. */
function binsOf(term) {
  if (binned.has(term)) return binned.get(term);
  const values = term === "reward" ? rows.reward : rows.scores[term], distinct = new Set();
  let low = Infinity, high = -Infinity, none = false;
  for (const value of values) {
    if (value === null) { none = true; continue; }
    if (distinct.size <= FEW) distinct.add(value);
    if (value < low) low = value;
    if (value > high) high = value;
  }
  let labels, of, edges;
  if (distinct.size <= FEW) {
    const sorted = [...distinct].sort((a, b) => a - b), at = new Map(sorted.map((value, n) => [value, n]));
    labels = sorted.map((value) => figure(value));
    edges = sorted.map((value) => figure(value, 3));
    of = (value) => (value === null ? sorted.length : at.get(value));
  } else {
    const width = (high - low) / BINS, edge = (n) => figure(low + n * width, 3);
    labels = Array.from({ length: BINS }, (_, n) => `${edge(n)} to ${edge(n + 1)}`);
    edges = Array.from({ length: BINS }, (_, n) => (n === 0 ? edge(0) : n === BINS - 1 ? edge(BINS) : ""));
    of = (value) => (value === null ? BINS : Math.min(BINS - 1, Math.floor((value - low) / width)));
  }
  const found = { labels: none ? [...labels, NO_SCORE] : labels, of, edges: none ? [...edges, NO_SCORE] : edges, linear: distinct.size > FEW };
  binned.set(term, found);
  return found;
}

/** [rows that meet every filter, rows a bin that meet every other one]. */
function matching() {
  const { labels, of } = binsOf(state.term), counts = labels.map(() => 0), wanted = new Set(state.bins), found = [];
  const text = state.q ? new RegExp(state.q.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i") : null;
  for (let group = 0; group < groupSize.length; group++) {
    if (state.step !== null && rows.group_step[group] !== state.step) continue;
    if (state.group !== null && rows.group_number[group] !== state.group) continue;
    if (state.prompt !== null && rows.group_prompt[group] !== state.prompt) continue;
    const asked = text !== null && text.test(rows.prompts[rows.group_prompt[group]]);
    for (let row = rows.group_first[group], end = row + groupSize[group]; row < end; row++) {
      if (state.cut && rows.cut[row] !== true) continue;
      if (text !== null && !asked && !text.test(rows.text[row])) continue;
      const bin = of(scoreOf(row));
      counts[bin]++;
      if (!wanted.size || wanted.has(bin)) found.push(row);
    }
  }
  return [ordered(found), counts];
}

function ordered(found) {
  const last = (value) => (value === null ? -Infinity : value);
  const by = {
    high: (a, b) => last(scoreOf(b)) - last(scoreOf(a)), low: (a, b) => (scoreOf(a) ?? Infinity) - (scoreOf(b) ?? Infinity),
    advantage: (a, b) => last(rows.advantage[b]) - last(rows.advantage[a]),
    long: (a, b) => length(b) - length(a), short: (a, b) => length(a) - length(b),
  }[state.sort];
  return by ? found.sort((a, b) => by(a, b) || a - b) : found;
}

const length = (row) => rows.tokens[row] ?? rows.text[row].length;

function showHistogram(counts) {
  const { labels, edges, linear } = binsOf(state.term), most = Math.max(1, ...counts);
  const bars = labels.map((label, bin) => {
    const bar = make("i");
    bar.style.height = `${(100 * counts[bin]) / most}%`;
    const about = `${state.term} ${label}: ${counts[bin]} completions`;
    const button = make("button", { type: "button", title: about, "aria-label": about, "aria-pressed": String(state.bins.includes(bin)) }, bar);
    button.classList.toggle("none", label === NO_SCORE);
    button.addEventListener("click", () => {
      go({ bins: state.bins.includes(bin) ? state.bins.filter((one) => one !== bin) : [...state.bins, bin].sort((a, b) => a - b) });
      $("histogram").children[bin]?.focus();
    });
    return button;
  });
  $("histogram").replaceChildren(...bars);
  $("axis").classList.toggle("linear", linear);
  $("axis").replaceChildren(...edges.map((label) => make("span", { className: label === NO_SCORE ? "none" : "" }, label)));
  $("axis-name").textContent = state.term;
}
