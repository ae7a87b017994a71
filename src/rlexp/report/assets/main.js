// A part that fails takes no other with it.
for (const start of [() => setTheme(theme), startTables, startBrowser, startCharts, startHeldOut, startKeys]) {
  try { start(); } catch (error) { console.error(error); }
}
document.documentElement.dataset.ready = String(Math.round(performance.now()));
