const limbeckTheme = (function () {
  "use strict";
  function colours() {
    const style = getComputedStyle(document.documentElement);
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

  return { apply: themed };
})();
