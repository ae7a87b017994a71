// What the completions are filtered by, kept in the address: a link to it shows the same.
const rows = $("histogram") ? data.completions : null;
const groupOf = rows ? new Int32Array(rows.shown) : null;
const groupSize = [];
if (rows) {
  rows.group_first.forEach((first, group) => {
    const end = group + 1 < rows.group_first.length ? rows.group_first[group + 1] : rows.shown;
    groupOf.fill(group, first, end);
    groupSize.push(end - first);
  });
}
// Rows without a completion: not those whose completion is empty.
const absent = new Set();
rows?.text.forEach((text, row) => {
  if (text === null) { absent.add(row); rows.text[row] = ""; }
});
const ORDERS = {
  stored: "as sampled", high: "highest score", low: "lowest score", advantage: "advantage", long: "longest", short: "shortest",
};
const EMPTY = { step: null, group: null, prompt: null, term: "reward", bins: [], sort: "stored", cut: false, q: "", row: null, wrong: [] };
let state = { ...EMPTY };

const whole = (text) => (/^\d{1,12}$/.test(text ?? "") ? Number(text) : null);

/** The state that an address says; what is none of ours is passed over, and named in ``wrong``. */
function ofAddress(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const term = said.get("term"), sort = said.get("sort"), prompt = whole(said.get("prompt"));
  const found = {
    step: whole(said.get("step")), group: whole(said.get("group")), row: whole(said.get("row")),
    prompt: prompt !== null && prompt < rows.prompts.length ? prompt : null,
    term: term !== null && Object.hasOwn(rows.scores, term) ? term : "reward",
    bins: (said.get("bins") ?? "").split(",").map(whole).filter((bin) => bin !== null),
    sort: sort !== null && Object.hasOwn(ORDERS, sort) ? sort : "stored",
    cut: said.get("cut") === "1", q: said.get("q") ?? "",
  };
  const taken = {
    ...found, term: found.term === term ? term : null, sort: found.sort === sort ? sort : null, bins: found.bins.length || null,
    cut: found.cut || said.get("cut") === "0" || null,
  };
  found.wrong = [...new Set(said.keys())].filter((name) => !Object.hasOwn(taken, name) || taken[name] === null)
    .map((name) => `${name}=${said.get(name)}`.slice(0, 60));
  return found;
}

function address() {
  const said = new URLSearchParams();
  for (const name of ["step", "group", "prompt", "row"]) if (state[name] !== null) said.set(name, state[name]);
  if (state.term !== "reward") said.set("term", state.term);
  if (state.bins.length) said.set("bins", state.bins.join(","));
  if (state.sort !== "stored") said.set("sort", state.sort);
  if (state.cut) said.set("cut", "1");
  if (state.q) said.set("q", state.q);
  return `#${said}`;
}

/** Changes the state and shows it. Steps of the way (a group, a prompt) can be gone back. */
function go(change, back = false) {
  state = { ...state, row: null, wrong: [], ...change };
  const said = address() === "#" ? "#completions" : address();
  if (said !== location.hash) history[back ? "pushState" : "replaceState"](null, "", said);
  showRows();
}

const scoreOf = (row) => (state.term === "reward" ? rows.reward : rows.scores[state.term])[row];
const place = (row) => row - rows.group_first[groupOf[row]] + 1;
const linkTo = (row) => `#step=${rows.group_step[groupOf[row]]}&group=${rows.group_number[groupOf[row]]}&row=${place(row)}`;
