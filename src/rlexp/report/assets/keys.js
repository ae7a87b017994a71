// Everything by keys; none of them is taken where somebody types.
function focused() { return document.activeElement?.closest?.("#rows .row, #held-out-rows .row") ?? null; }

function along(by) {
  const here = focused(), list = here?.parentElement ?? $("rows");
  if (!list?.children.length) return;
  const rowsHere = [...list.children], at = here ? rowsHere.indexOf(here) + by : 0;
  if (at >= rowsHere.length) { const more = list.nextElementSibling; if (more && !more.hidden) more.click(); }
  const next = list.children[Math.min(list.children.length - 1, Math.max(0, at))];
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function startKeys() {
  const help = $("help");
  $("help-button").addEventListener("click", () => help.showModal());
  $("theme").addEventListener("click", nextTheme);
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea");
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (event.key === "Escape") {
      typing?.blur();
      if (!rows || (typing && !typing.closest("#filters"))) return;
      event.preventDefault();
      if (address() !== "#" || state.wrong.length || $("f-text").value || $("f-step").value) clearFilters();
      return;
    }
    if (typing) return;
    const here = focused(), row = here?.dataset.row === undefined ? null : Number(here.dataset.row);
    const does = {
      j: () => along(1), k: () => along(-1), ArrowDown: here && event.target === here ? () => along(1) : null,
      ArrowUp: here && event.target === here ? () => along(-1) : null,
      g: row === null ? null : () => { openGroup(row); focusRow(row); }, p: row === null ? null : () => openPrompt(row),
      Enter: row === null || event.target !== here ? null : () => { openGroup(row); focusRow(row); },
      e: here ? () => here.classList.toggle("open-whole") : null,
      "[": rows ? () => byStep(-1) : null, "]": rows ? () => byStep(1) : null,
      "/": rows ? () => $("f-text").focus() : null, "?": () => help.showModal(), t: nextTheme,
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  });
}
