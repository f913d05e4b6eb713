(function () {
  "use strict";
  const root = document.documentElement;
  const fine = window.matchMedia("(pointer: fine)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, displaylogo: false, responsive: true, showTips: false };
  const axisTitles = {
    rounds: "communication rounds",
    bytes: "sent, MB",
    seconds: "seconds of rounds",
    bytes_with_start: "sent, MB, making the start included",
    seconds_with_start: "seconds, making the start included",
  };
  let axis = "rounds";
  let view = null;
  let scenario = "";
  let folded = [];

  function viewed(trace) {
    const look = trace.meta.looks[view.kind === "strategy" ? "start" : "strategy"];
    trace.visible = trace.meta[view.kind] === view.name;
    if (trace.fill) trace.fillcolor = look.fill;
    else trace.line = Object.assign({}, trace.line, { color: look.line, dash: look.dash });
  }

  function switched(figure) {
    figure.data.forEach(function (trace) {
      if (view && trace.meta && trace.meta.looks) viewed(trace);
      if (trace.meta && trace.meta.axes) {
        const places = trace.meta.axes[axis];
        trace.x = trace.fill ? places.concat(places.slice().reverse()) : places;
        figure.layout.xaxis.title = Object.assign({}, figure.layout.xaxis.title, { text: axisTitles[axis] });
        figure.layout.dragmode = fine.matches ? "zoom" : false;
      }
      if (trace.meta && trace.meta.scenarios) {
        const opacity = trace.meta.scenarios.map((name) => (!scenario || name === scenario ? 1 : 0.15));
        trace.marker = Object.assign({}, trace.marker, { opacity: opacity });
      }
    });
    return figure;
  }

  function draw(place) {
    const source = document.getElementById(place.dataset.figure);
    const figure = switched(limbeckTheme.apply(JSON.parse(source.textContent), place.clientWidth));
    place.dataset.drawn = "yes";
    return Plotly.react(place, figure.data, figure.layout, config);
  }

  const places = Array.from(document.querySelectorAll("[data-figure]"));
  const shown = () => places.filter((place) => place.offsetParent !== null);
  const redraw = () => places.filter((place) => place.dataset.drawn).forEach(draw);

  // Reading its four megabytes takes a browser about a second, in which the page can be read already.
  function loadPlotly() {
    const source = document.getElementById("plotly");
    if (window.Plotly || !source) return;
    const library = document.createElement("script");
    library.textContent = source.textContent;
    document.head.append(library);
  }

  function drawWhatIsSeen() {
    loadPlotly();
    const watcher = new IntersectionObserver(function (entries) {
      entries.filter((entry) => entry.isIntersecting).forEach(function (entry) {
        watcher.unobserve(entry.target);
        if (!entry.target.dataset.drawn) draw(entry.target);
      });
    }, { rootMargin: "600px" });
    places.forEach((place) => watcher.observe(place));
  }
  window.addEventListener("load", () => requestAnimationFrame(() => setTimeout(drawWhatIsSeen, 0)));

  function chooseAxis() {
    const chosen = document.querySelector("input[name=axis]:checked");
    const withStart = document.getElementById("with-start");
    if (!chosen) return;
    withStart.disabled = !withStart.dataset.axes.split(" ").includes(chosen.value);
    axis = chosen.value + (!withStart.disabled && withStart.checked ? "_with_start" : "");
    places.filter((place) => place.dataset.kind === "federated" && place.dataset.drawn).forEach(draw);
  }
  document.querySelectorAll("input[name=axis], #with-start").forEach((input) => input.addEventListener("change", chooseAxis));
  chooseAxis();

  const views = document.getElementById("view");
  function chooseView() {
    const kind = views.selectedOptions[0].dataset.kind;
    view = { kind: kind, name: views.value };
    document.getElementById("legend-start").hidden = kind !== "strategy";
    document.getElementById("legend-strategy").hidden = kind === "strategy";
    places.filter((place) => place.dataset.kind === "federated" && place.dataset.drawn).forEach(draw);
  }
  if (views) {
    views.addEventListener("change", chooseView);
    chooseView();
  }

  const picker = document.getElementById("scenario");
  function chooseScenario() {
    scenario = picker.value;
    document.querySelectorAll("[data-scenario]").forEach(function (part) {
      part.hidden = part.classList.contains("chosen")
        ? part.dataset.scenario !== scenario
        : scenario !== "" && part.dataset.scenario !== scenario;
    });
    const overall = document.getElementById("overall");
    if (overall) overall.hidden = scenario === "";
    document.querySelectorAll(".grid, table").forEach(function (whole) {
      const parts = Array.from(whole.querySelectorAll("[data-scenario]"));
      const none = (whole.closest(".table") || whole).nextElementSibling;
      if (parts.length && none && none.classList.contains("none")) none.hidden = parts.some((part) => !part.hidden);
    });
    places.filter((place) => ["worth", "skew"].includes(place.dataset.kind) && place.dataset.drawn).forEach(draw);
  }
  if (picker) {
    picker.closest("form").hidden = false;
    picker.closest("form").addEventListener("submit", (event) => event.preventDefault());
    picker.addEventListener("change", chooseScenario);
    chooseScenario();
  }

  function cell(kind, text, scope) {
    const made = document.createElement(kind);
    if (scope) made.scope = scope;
    made.textContent = text;
    return made;
  }

  // Quoted fields may hold commas, doubled quotes and line ends.
  function readCsv(text) {
    const rows = [[]];
    for (const [, field, quoted, plain, end] of text.matchAll(/("((?:[^"]|"")*)"|([^,\r\n]*))(,|\r\n)/g)) {
      rows[rows.length - 1].push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
      if (end !== ",") rows.push([]);
    }
    return rows.slice(0, -1);
  }

  function fill(sheet) {
    const table = sheet.querySelector("table");
    const [columns, ...rows] = readCsv(JSON.parse(sheet.querySelector("script").textContent));
    const words = Number(sheet.dataset.words);
    const line = function (texts, heads) {
      const made = document.createElement("tr");
      texts.forEach(function (text, place) {
        const isHead = heads || place === 0;
        made.append(cell(isHead ? "th" : "td", text, isHead && (heads ? "col" : "row")));
        if (place < words) made.lastChild.className = "word";
      });
      return made;
    };
    table.createTHead().append(line(columns, true));
    table.createTBody().append(...rows.map((texts) => line(texts, false)));
    delete sheet.dataset.words;
  }
  document.querySelectorAll("details.runs").forEach((fold) => fold.addEventListener("toggle", function () {
    fold.querySelectorAll("[data-words]").forEach(fill);
  }));

  document.querySelectorAll(".download").forEach(function (link) {
    link.hidden = false;
    link.addEventListener("click", function () {
      const text = JSON.parse(link.closest(".sheet").querySelector("script").textContent);
      const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
      link.href = address;
      setTimeout(() => URL.revokeObjectURL(address), 10000);
    });
  });

  dark.addEventListener("change", redraw);
  window.addEventListener("beforeprint", function () {
    loadPlotly();
    root.classList.add("printing");
    folded = Array.from(document.querySelectorAll("details:not([open]):not(.runs)"));
    folded.forEach((fold) => { fold.open = true; });
    shown().forEach(draw);
    shown().forEach((place) => Plotly.Plots.resize(place));
  });
  window.addEventListener("afterprint", function () {
    root.classList.remove("printing");
    folded.forEach((fold) => { fold.open = false; });
    redraw();
    shown().forEach((place) => Plotly.Plots.resize(place));
  });
})();
