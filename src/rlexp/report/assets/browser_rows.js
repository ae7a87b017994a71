// The completions that meet the filters, a part at a time, each whole; above them the group, or the prompt over the steps.
const PART = 25;
let found = [];
let listed = 0;

function fact(name, value, kind = "") {
  return make("span", { className: kind }, `${name} `, make("b", {}, value));
}

function card(row) {
  const group = groupOf[row], worth = rows.advantage[row], inGroup = state.group !== null && state.step !== null;
  const link = make("a", { href: linkTo(row) }, `step ${rows.group_step[group]} · group ${rows.group_number[group]} · ${place(row)}`);
  const head = make("header", {}, link, fact("reward", figure(rows.reward[row])),
    ...rows.terms.filter((term) => rows.scores[term]).map((term) => fact(term, figure(rows.scores[term][row]))),
    worth === null ? null : fact("advantage", signed(worth), worth > 0 ? "plus" : worth < 0 ? "minus" : ""),
    rows.tokens[row] === null ? null : fact("tokens", String(rows.tokens[row])),
    rows.cut[row] ? make("span", { className: "cut" }, "cut by the limit") : null);
  const tools = make("div", { className: "tools" });
  const tool = (name, does, title) => {
    const button = make("button", { type: "button", title }, name);
    button.addEventListener("click", does);
    tools.append(button);
  };
  if (!inGroup) tool("Group", () => openGroup(row), "Its group (g)");
  tool("Same prompt", () => openPrompt(row), "The same prompt at all steps (p)");
  if (rows.text[row].length > 800) tool("Full height", () => element.classList.toggle("open-whole"), "To its full height, and back (e)");
  head.append(tools);
  const element = make("li", { className: "row", tabIndex: 0 }, head);
  element.dataset.row = row;
  if (inGroup && worth !== null) element.append(bar(worth, group));
  if (!inGroup && state.prompt === null) element.append(shownText(rows.prompts[rows.group_prompt[group]], "prompt"));
  element.append(absent.has(row) ? make("div", { className: "said empty" }, "(no completion was stored)") : shownText(rows.text[row]));
  return element;
}

/** The advantage beside those of its group, to the left or to the right of the middle. */
function bar(worth, group) {
  const first = rows.group_first[group], own = rows.advantage.slice(first, first + groupSize[group]);
  const most = Math.max(1e-9, ...own.map((value) => Math.abs(value ?? 0))), width = (50 * Math.abs(worth)) / most;
  const part = make("i", { className: worth < 0 ? "minus" : "" });
  part.style.width = `${width}%`;
  part.style.left = `${worth < 0 ? 50 - width : 50}%`;
  return make("div", { className: "bar", "aria-hidden": "true" }, part);
}

function openGroup(row) {
  go({ ...EMPTY, step: rows.group_step[groupOf[row]], group: rows.group_number[groupOf[row]], sort: "advantage", term: state.term }, true);
  reveal();
}
function openPrompt(row) {
  go({ ...EMPTY, prompt: rows.group_prompt[groupOf[row]], term: state.term }, true);
  reveal();
}
function openStep(step) {
  const near = rows.steps.reduce((best, [one]) => (Math.abs(one - step) < Math.abs(best - step) ? one : best), rows.steps[0][0]);
  go({ ...EMPTY, step: near, term: state.term }, true);
  if (near !== step) say(`completions of step ${near} were stored, none of step ${step}`);
  reveal();
}
function reveal(at = "smooth") { $("completions").scrollIntoView({ behavior: still() ? "instant" : at }); }

function statistics(own) {
  const known = own.map((row) => rows.reward[row]).filter((value) => value !== null);
  const mean = known.reduce((sum, value) => sum + value, 0) / (known.length || 1);
  const spread = Math.sqrt(known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, known.length - 1));
  return known.length ? `${own.length} completions, mean reward ${figure(mean)}, spread ${figure(spread, 2)}` : `${own.length} completions without a reward`;
}

function button(name, does) {
  const made = make("button", { type: "button" }, name);
  made.addEventListener("click", does);
  return made;
}

function showHead() {
  const head = $("group"), inGroup = state.group !== null && state.step !== null && found.length > 0;
  const holder = drawn.get(head.querySelector(".plot"));
  if (holder) { holder.plot.destroy(); drawn.delete(head.querySelector(".plot")); }
  head.hidden = !(inGroup || (state.prompt !== null && found.length > 0));
  head.replaceChildren();
  if (head.hidden) return;
  const group = groupOf[found[0]];
  head.append(make("h3", {}, inGroup ? `Step ${state.step}, group ${state.group}` : "The same prompt at all steps"),
    make("p", {}, statistics(found)), shownText(rows.prompts[rows.group_prompt[group]]));
  for (const [name, value] of Object.entries(rows.group_read[group] ?? {})) {
    if (value === null) continue;
    head.append(make("p", { className: "label" }, make("bdi", {}, name)), shownText(value));
  }
  if (inGroup) head.append(make("p", {}, button("All of this step", () => go({ ...EMPTY, step: state.step }, true)), " ",
    button("This prompt at all steps", () => openPrompt(found[0]))));
  else showPromptChart(head);
}

function showPromptChart(head) {
  const steps = new Map();
  for (const row of found) {
    const step = rows.group_step[groupOf[row]], value = scoreOf(row);
    if (value !== null) steps.set(step, [...(steps.get(step) ?? []), value]);
  }
  const x = [...steps.keys()].sort((a, b) => a - b), of = (fold) => x.map((step) => fold(steps.get(step)));
  if (x.length < 2) return;
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const series = { name: state.term, values: of(mean), low: of((v) => Math.min(...v)), high: of((v) => Math.max(...v)), points: false };
  const holder = make("div", { className: "plot", tabIndex: 0, role: "group", "aria-label": "its score by step" });
  holder.addEventListener("keydown", (event) => byKeys(holder, event));
  head.append(make("p", { className: "label" }, `${state.term} by step: mean, lowest to highest`), holder);
  draw(holder, { id: "prompt", x, series: [series], smooth: false, stacked: false, marks: [], best: null });
  sizes.observe(holder);
}

function showRows() {
  const [matches, counts] = matching();
  found = matches;
  listed = 0;
  $("f-step").value = state.step ?? "";
  $("f-term").value = state.term;
  $("f-sort").value = state.sort;
  $("f-cut").checked = state.cut;
  if ($("f-text").value !== state.q) $("f-text").value = state.q;
  showHistogram(counts);
  const stored = rows.steps.find(([step]) => step === state.step), sampled = stored && stored[2] < stored[1];
  $("matches").textContent = `${found.length} of ${rows.shown} completions` + (sampled ? `; of step ${state.step} the report holds ${stored[2]} of ${stored[1]}` : "")
    + (state.step !== null && !stored ? `; none of step ${state.step} were stored` : "")
    + (state.wrong.length ? `; the address names what is not here, and it is passed over: ${state.wrong.join(", ")}` : "");
  showHead();
  $("rows").replaceChildren();
  showMore();
  if (state.row !== null) focusRow(found.find((row) => place(row) === state.row));
}

function showMore() {
  const next = found.slice(listed, listed + PART);
  $("rows").append(...next.map(card));
  listed += next.length;
  $("more").hidden = listed >= found.length;
  $("more").textContent = `Show more: ${found.length - listed} are left`;
}

function focusRow(row) {
  if (row === undefined) return;
  while (listed < found.length && found.indexOf(row) >= listed) showMore();
  const element = $("rows").querySelector(`[data-row="${row}"]`);
  element?.focus({ preventScroll: true });
  element?.scrollIntoView({ block: "nearest" });
}

let waiting; // for the rest of a text that is typed

/** Shows all again; a text that is being typed goes with the rest. */
function clearFilters() {
  clearTimeout(waiting);
  go({ ...EMPTY });
}

function startBrowser() {
  if (!rows) return;
  opened = openStep;
  $("histogram").after(make("div", { className: "axis", id: "axis", "aria-hidden": "true" }), make("div", { className: "axis-name", id: "axis-name", "aria-hidden": "true" }));
  $("f-term").append(...["reward", ...Object.keys(rows.scores)].map((term) => make("option", { value: term }, term)));
  $("f-sort").append(...Object.entries(ORDERS).map(([value, name]) => make("option", { value }, name)));
  $("f-term").addEventListener("change", (event) => go({ term: event.target.value, bins: [] }));
  $("f-sort").addEventListener("change", (event) => go({ sort: event.target.value }));
  $("f-cut").addEventListener("change", (event) => go({ cut: event.target.checked }));
  $("f-text").addEventListener("input", (event) => { clearTimeout(waiting); waiting = setTimeout(() => go({ q: event.target.value }), 150); });
  $("f-step").addEventListener("change", (event) => go({ step: whole(event.target.value.trim()), group: null }));
  $("f-back").addEventListener("click", () => byStep(-1));
  $("f-on").addEventListener("click", () => byStep(1));
  $("f-clear").addEventListener("click", clearFilters);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", showMore);
  const read = () => {
    if (!location.hash.includes("=")) { if (location.hash === "" || location.hash === "#completions") { state = { ...EMPTY }; showRows(); } return; }
    state = ofAddress(location.hash);
    showRows();
    if (state.row === null) reveal("instant");
  };
  addEventListener("popstate", read);
  if (location.hash.includes("=")) read();
  else showRows();
}

function byStep(by) {
  const steps = rows.steps.map(([step]) => step), at = steps.indexOf(state.step);
  go({ step: at < 0 ? steps.at(by > 0 ? 0 : -1) : steps[Math.min(steps.length - 1, Math.max(0, at + by))], group: null });
}
