// Held-out rows, with their completions before and after.
const HELD = 8;
function startHeldOut() {
  const held = data.heldOut;
  if (!held || !$("held-out-rows")) return;
  const change = (row) => (row.reward_after ?? 0) - (row.reward_before ?? 0);
  let order = [], listedHere = 0;
  const more = () => {
    const next = order.slice(listedHere, listedHere + HELD);
    listedHere += next.length;
    $("held-out-rows").append(...next.map((row) => {
      const sides = ["before", "best", "after"].filter((side) => side in row);
      return make("li", { className: "row", tabIndex: 0 },
        make("header", {}, fact("change", signed(change(row)), change(row) > 0 ? "plus" : change(row) < 0 ? "minus" : "")),
        shownText(row.prompt, "prompt"),
        make("div", { className: "sides" }, ...sides.map((side) => make("div", {},
          make("p", { className: "label" }, `${side}, reward ${figure(row[`reward_${side}`])}`), shownText(row[side])))));
    }));
    $("held-out-more").hidden = listedHere >= order.length;
    $("held-out-more").textContent = `Show more: ${order.length - listedHere} are left`;
  };
  const show = () => {
    const by = { rise: (a, b) => change(b) - change(a), fall: (a, b) => change(a) - change(b) }[$("held-out-order").value];
    order = by ? held.rows.slice().sort(by) : held.rows;
    listedHere = 0;
    $("held-out-rows").replaceChildren();
    more();
  };
  $("held-out-order").addEventListener("change", show);
  $("held-out-more").addEventListener("click", more);
  show();
}
