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
  let folded = [];

  function colours() {
    const style = getComputedStyle(root);
    const read = (name) => style.getPropertyValue(name).trim();
    return { text: read("--text"), muted: read("--muted"), grid: read("--grid"), card: read("--card"), line: read("--line") };
  }

  function cellTextSize(trace, width) {
    const cell = (width - 110) / Math.max(1, trace.z[0].length);
    return cell < 24 ? 9 : cell < 32 ? 10 : 11;
  }

  function themed(figure, width) {
    const ink = colours();
    const layout = figure.layout;
    layout.font = Object.assign({}, layout.font, { color: ink.muted });
    layout.hoverlabel = Object.assign({}, layout.hoverlabel, { bgcolor: ink.card, bordercolor: ink.line });
    layout.hoverlabel.font = Object.assign({}, layout.hoverlabel.font, { color: ink.text });
    if (layout.title) layout.title.font = Object.assign({}, layout.title.font, { color: ink.text });
    ["xaxis", "yaxis"].forEach(function (name) {
      layout[name] = Object.assign({}, layout[name], { gridcolor: ink.grid, zerolinecolor: ink.muted });
      layout[name].tickfont = { color: name === "yaxis" ? ink.text : ink.muted };
    });
    (layout.annotations || []).forEach(function (note) {
      note.font = Object.assign({}, note.font, { color: ink.text });
      note.bgcolor = ink.card;
    });
    (layout.shapes || []).forEach(function (shape) { if (shape.type === "rect") shape.line.color = ink.text; });
    figure.data.forEach(function (trace) {
      if (trace.type === "heatmap") trace.textfont = { color: ink.text, size: cellTextSize(trace, width) };
      if (trace.type === "bar" && trace.error_x) trace.error_x.color = ink.text;
    });
    return figure;
  }

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
        trace.x = trace.meta.axes[axis];
        figure.layout.xaxis.title = Object.assign({}, figure.layout.xaxis.title, { text: axisTitles[axis] });
        figure.layout.dragmode = fine.matches ? "zoom" : false;
      }
    });
    return figure;
  }

  function draw(place) {
    const source = document.getElementById(place.dataset.figure);
    const figure = switched(themed(JSON.parse(source.textContent), place.clientWidth));
    place.dataset.drawn = "yes";
    return Plotly.react(place, figure.data, figure.layout, config);
  }

  const places = Array.from(document.querySelectorAll("[data-figure]"));
  const redraw = () => places.filter((place) => place.dataset.drawn).forEach(draw);

  if ("IntersectionObserver" in window) {
    const watcher = new IntersectionObserver(function (entries) {
      entries.filter((entry) => entry.isIntersecting).forEach(function (entry) {
        watcher.unobserve(entry.target);
        if (!entry.target.dataset.drawn) draw(entry.target);
      });
    }, { rootMargin: "600px" });
    places.forEach((place) => watcher.observe(place));
  } else {
    places.forEach(draw);
  }

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

  dark.addEventListener("change", redraw);
  window.addEventListener("beforeprint", function () {
    root.classList.add("printing");
    folded = Array.from(document.querySelectorAll("#targets details:not([open])"));
    folded.forEach((fold) => { fold.open = true; });
    places.forEach(draw);
    places.forEach((place) => Plotly.Plots.resize(place));
  });
  window.addEventListener("afterprint", function () {
    root.classList.remove("printing");
    folded.forEach((fold) => { fold.open = false; });
    redraw();
    places.forEach((place) => Plotly.Plots.resize(place));
  });
})();
