// What the other parts share: the data, making elements, words for a screen reader, numbers as they are shown.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

/** An element with properties and children. Texts become text nodes: nothing of the data is ever read as HTML. */
function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function say(text) { $("said").textContent = text; }

/** A number with as many digits as tell. */
function figure(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(digits)));
}

function signed(value) { return value === null ? "–" : (value > 0 ? "+" : "") + figure(value, 3); }

function copied(text, button) {
  const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
  const select = () => {
    const area = make("textarea", { value: text, readOnly: true });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    done();
  };
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, select);
  else select();
}

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Themes: as the system says, light, dark.
const THEMES = ["system", "light", "dark"];
const themed = [];
let theme = "system";
try { theme = THEMES.includes(localStorage.getItem("rlexp-theme")) ? localStorage.getItem("rlexp-theme") : "system"; } catch { /* no storage for files */ }
function setTheme(name) {
  theme = name;
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  $("theme").textContent = name;
  $("theme").setAttribute("aria-label", `theme: ${name}`);
  try { localStorage.setItem("rlexp-theme", name); } catch { /* the same */ }
  for (const redraw of themed) redraw();
}
function nextTheme() { setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]); say(`theme: ${theme}`); }
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
