setTheme(theme);
startTables();
startBrowser();
startCharts();
startHeldOut();
startKeys();
document.documentElement.dataset.ready = String(Math.round(performance.now()));
