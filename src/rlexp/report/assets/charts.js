// Charts over steps, drawn by uPlot; bands, intervals, marks and the faint unsmoothed lines are drawn beside its lines.
const drawn = new Map();
let smoothing = 0.6;
let opened = null; // what a click on a point of a step calls

/** An exponential mean without its bias at the beginning; places without a value stay without. */
function smoothed(values, weight) {
  let sum = 0, norm = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = sum * weight + (1 - weight) * value;
    norm = norm * weight + (1 - weight);
    return sum / norm;
  });
}

function limits(chart, columns) {
  let low = Infinity, high = -Infinity;
  const see = (values) => { for (const v of values ?? []) if (v !== null) { if (v < low) low = v; if (v > high) high = v; } };
  columns.forEach(see);
  for (const one of chart.series) { see(chart.stacked ? [] : one.values); see(one.low); see(one.high); }
  if (low > high) return [0, 1];
  if (chart.stacked) low = 0;
  if (chart.share) {
    if (low === high) return [0, 1];
    const [from, to] = uPlot.rangeNum(low, high, 0.08, true);
    return [low < 0 ? from : Math.max(0, from), high > 1 ? to : Math.min(1, to)];
  }
  return high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high)) ? [low - (Math.abs(low) * 0.1 || 0.5), high + (Math.abs(high) * 0.1 || 0.5)] : uPlot.rangeNum(low, high, 0.08, true);
}

const eased = (chart, values) => (chart.smooth && smoothing ? smoothed(values, smoothing) : values);

function columnsOf(chart) {
  if (chart.stacked) {
    const sums = chart.x.map(() => 0);
    return chart.series.map((one) => one.values.map((value, n) => (sums[n] += value ?? 0)));
  }
  return chart.series.map((one) => eased(chart, one.values));
}

function path(u, values, x, stroke, alpha, width) {
  const { ctx } = u;
  ctx.save();
  ctx.globalAlpha = alpha; ctx.strokeStyle = stroke; ctx.lineWidth = width; ctx.beginPath();
  let pen = false;
  values.forEach((value, n) => {
    if (value === null) { pen = false; return; }
    const left = u.valToPos(x[n], "x", true), top = u.valToPos(value, "y", true);
    if (pen) ctx.lineTo(left, top); else ctx.moveTo(left, top);
    pen = true;
  });
  ctx.stroke();
  ctx.restore();
}

function band(u, chart, one, fill) {
  const { ctx } = u, { x } = chart, [low, high] = [one.low, one.high].map((values) => eased(chart, values));
  const places = x.map((_, n) => n).filter((n) => low[n] !== null && high[n] !== null);
  if (!places.length) return;
  ctx.save();
  ctx.globalAlpha = 0.18; ctx.fillStyle = fill; ctx.beginPath();
  for (const n of places) ctx.lineTo(u.valToPos(x[n], "x", true), u.valToPos(high[n], "y", true));
  for (const n of places.reverse()) ctx.lineTo(u.valToPos(x[n], "x", true), u.valToPos(low[n], "y", true));
  ctx.fill();
  ctx.restore();
}

function whiskers(u, one, x, stroke) {
  const { ctx } = u, half = 4 * devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = stroke; ctx.lineWidth = 1.5 * devicePixelRatio; ctx.beginPath();
  x.forEach((step, n) => {
    if (one.low?.[n] == null || one.high?.[n] == null) return;
    const left = u.valToPos(step, "x", true), low = u.valToPos(one.low[n], "y", true), high = u.valToPos(one.high[n], "y", true);
    ctx.moveTo(left, low); ctx.lineTo(left, high);
    for (const end of [low, high]) { ctx.moveTo(left - half, end); ctx.lineTo(left + half, end); }
  });
  ctx.stroke();
  ctx.restore();
}

function upright(u, step, stroke, dash, label) {
  const { ctx } = u, left = u.valToPos(step, "x", true);
  if (left < u.bbox.left - 1 || left > u.bbox.left + u.bbox.width + 1) return;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = stroke; ctx.lineWidth = 1.5 * devicePixelRatio; ctx.setLineDash(dash.map((d) => d * devicePixelRatio));
  ctx.beginPath(); ctx.moveTo(left, u.bbox.top); ctx.lineTo(left, u.bbox.top + u.bbox.height); ctx.stroke();
  const size = 5 * devicePixelRatio;
  ctx.beginPath(); ctx.moveTo(left - size, u.bbox.top); ctx.lineTo(left + size, u.bbox.top); ctx.lineTo(left, u.bbox.top + size * 1.4); ctx.fill();
  if (label) {
    ctx.font = `${11 * devicePixelRatio}px system-ui`;
    const right = left > u.bbox.left + u.bbox.width * 0.7;
    ctx.textAlign = right ? "right" : "left"; ctx.textBaseline = "top";
    ctx.fillText(label, left + (right ? -7 : 7) * devicePixelRatio, u.bbox.top + 2 * devicePixelRatio);
  }
  ctx.restore();
}

/** Between the marks of an axis of steps: they are whole. */
const STEPS_APART = Array.from({ length: 13 }, (_, n) => [1, 2, 5].map((digit) => digit * 10 ** n)).flat();

function strokeOf(n) { return color(`--c${n % 8}`); }

/** A line's colour halfway to the page's: areas one before the other must not mix. */
function areaOf(n) {
  const [own, page] = [strokeOf(n), color("--page")].map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  return `rgb(${own.map((value, at) => Math.round((value + page[at]) / 2)).join()})`;
}

function options(chart, columns, width, opens) {
  const dashes = [[], [6, 4], [2, 3]], text = color("--muted"), line = color("--line"), range = limits(chart, columns);
  const lines = chart.series.map((one, n) => ({
    label: one.name, stroke: strokeOf(n), width: 1.8, dash: dashes[Math.floor(n / 8) % 3], spanGaps: true,
    fill: chart.stacked ? areaOf(n) : undefined,
    points: { show: one.points || chart.x.length < 3, size: one.points ? 8 : 6, fill: strokeOf(n) },
    value: (u, value, series, place) => (place === null || place === undefined ? "–" : figure(one.values[place])),
  }));
  return {
    width, height: 230, scales: { x: { time: false, range: (u, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) }, y: { range: () => range } },
    series: [{ label: "step", value: (u, value) => (value === null ? "–" : String(value)) }, ...(chart.stacked ? lines.reverse() : lines)],
    axes: [{ size: 34, incrs: STEPS_APART, stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line } },
      { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line }, size: 58, values: (u, ticks) => ticks.map((v) => figure(v)) }],
    cursor: { y: false, points: { size: 7 }, focus: { prox: 16 } },
    focus: { alpha: 0.35 },
    legend: { live: true },
    hooks: {
      drawAxes: [(u) => {
        chart.series.forEach((one, n) => {
          if (!u.series[n + 1].show || chart.stacked) return;
          if (one.low && !one.points) band(u, chart, one, strokeOf(n));
          else if (chart.smooth && smoothing && !one.points) path(u, one.values, chart.x, strokeOf(n), 0.28, devicePixelRatio);
        });
      }],
      draw: [(u) => {
        chart.series.forEach((one, n) => { if (one.points && u.series[n + 1].show) whiskers(u, one, chart.x, strokeOf(n)); });
        for (const mark of chart.marks) upright(u, mark.step, color(mark.level === "stop" ? "--bad" : "--warn"), [4, 4], "");
        if (chart.best !== null) upright(u, chart.best, color("--good"), [], "chosen");
      }],
      ready: [(u) => {
        let down = null;
        u.over.addEventListener("mousedown", (event) => { down = event.clientX; });
        u.over.addEventListener("click", (event) => {
          if (opens && opened && Math.abs(event.clientX - down) < 4 && u.cursor.idx !== null) opened(chart.x[u.cursor.idx]);
        });
      }],
    },
  };
}

function draw(holder, chart) {
  const columns = columnsOf(chart), opens = Boolean(opened);
  drawn.get(holder)?.plot.destroy();
  holder.classList.toggle("opens", opens);
  const width = Math.max(200, Math.floor(holder.clientWidth) || 600);
  const plot = new uPlot(options(chart, columns, width, opens), [chart.x, ...(chart.stacked ? columns.slice().reverse() : columns)], holder);
  drawn.set(holder, { plot, chart });
  return plot;
}

/** Left and right go along the points of a chart, Enter opens the completions of the step. */
function byKeys(holder, event) {
  const own = drawn.get(holder);
  if (!own || !["ArrowLeft", "ArrowRight", "Enter"].includes(event.key)) return;
  const { plot, chart } = own, last = chart.x.length - 1, at = plot.cursor.idx ?? -1;
  event.preventDefault();
  if (event.key === "Enter") { if (opened && at >= 0) opened(chart.x[at]); return; }
  const next = Math.min(last, Math.max(0, at + (event.key === "ArrowRight" ? 1 : -1)));
  plot.setCursor({ left: plot.valToPos(chart.x[next], "x"), top: 20 });
  say(`step ${chart.x[next]}: ${chart.series.map((one) => `${one.name} ${figure(one.values[next])}`).join(", ")}`);
}

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const own = drawn.get(target), width = Math.floor(target.clientWidth);
    if (own && width > 0 && own.plot.width !== width) own.plot.setSize({ width, height: 230 });
  }
});
const coming = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting || drawn.has(target)) continue;
    coming.unobserve(target);
    draw(target, data.charts[target.parentElement.dataset.chart]);
  }
}, { rootMargin: "400px" });

function startCharts() {
  for (const holder of document.querySelectorAll(".chart .plot")) {
    holder.addEventListener("keydown", (event) => byKeys(holder, event));
    sizes.observe(holder);
    coming.observe(holder);
  }
  const redraw = () => { for (const [holder, { chart }] of drawn) draw(holder, chart); };
  themed.push(redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  $("smoothing")?.addEventListener("input", (event) => {
    smoothing = Number(event.target.value);
    $("smoothing-value").textContent = smoothing.toFixed(2);
    redraw();
  });
  const first = Object.values(data.charts)[0], marks = first?.marks ?? [];
  if (marks.length && $("marks")) {
    const some = marks.slice(0, 6).map((mark) => `step ${mark.step}: ${mark.text} (${mark.level})`);
    $("marks").append("Marked: ", make("bdi", {}, some.join("; ")), marks.length > 6 ? `; ${marks.length - 6} more below` : "");
  }
}
