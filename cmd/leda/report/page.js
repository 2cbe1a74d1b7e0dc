"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const {time, runs, reasons, whys} = data;
const xs = time.map(t => data.start + t);
const last = xs.length - 1;
const find = id => document.getElementById(id);
const colour = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const names = ["first", "second"];

// make builds an element; text is never taken for markup.
function make(tag, className, ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
}

const stamp = new Intl.DateTimeFormat("en-GB", {timeZone: "UTC", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23"});
const when = i => {
  const p = Object.fromEntries(stamp.formatToParts(new Date(xs[i] * 1000)).map(part => [part.type, part.value]));
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`;
};
const size = (run, i) => run.from[i] === run.to[i] ? String(run.to[i]) : `${run.from[i]} → ${run.to[i]}`;

// steps draws a value that holds until the next one. Where many looks fall on one column of pixels it draws
// from the lowest to the highest of them, so that no spike is lost. A missing value is a gap.
function steps(u, series, i0, i1) {
  const ys = u.data[series], stroke = new Path2D(), fill = new Path2D();
  const {left, top, width, height} = u.bbox, x = u.scales.x, y = u.scales.y;
  const toX = v => Math.round(left + (v - x.min) / (x.max - x.min) * width);
  const toY = v => top + height - (v - y.min) / (y.max - y.min) * height;
  const floor = toY(Math.max(0, y.min));
  let open = false, column, low, high, at;
  const finish = () => {
    for (const path of [stroke, fill]) { path.lineTo(column, low); path.lineTo(column, high); path.lineTo(column, at); }
  };
  const go = X => {
    finish();
    for (const path of [stroke, fill]) path.lineTo(X, at);
    column = X;
  };
  for (let i = Math.max(0, i0 - 1); i <= Math.min(ys.length - 1, i1 + 1); i++) {
    const X = toX(xs[i]);
    if (ys[i] == null) {
      if (open) { go(X); fill.lineTo(X, floor); }
      open = false;
      continue;
    }
    const Y = toY(ys[i]);
    if (!open) {
      stroke.moveTo(X, Y); fill.moveTo(X, floor); fill.lineTo(X, Y);
      open = true; column = X; low = high = at = Y;
      continue;
    }
    if (X !== column) { go(X); low = high = Y; }
    low = Math.min(low, Y); high = Math.max(high, Y); at = Y;
  }
  if (open) { finish(); fill.lineTo(column, floor); }
  return {stroke, fill};
}

// shade paints spans of looks, each given as its first and the one that ends it. A column of pixels is
// painted as strongly as the spans cover it, and never so weakly that a short one is not seen.
function shade(u, spans, name) {
  const {top, height, left, width} = u.bbox, {min, max} = u.scales.x;
  const toX = i => (xs[i] - min) / (max - min) * width;
  const cover = new Float32Array(Math.ceil(width) + 1);
  for (const [from, to] of spans) {
    const a = Math.max(0, toX(from)), b = Math.min(width, toX(to));
    if (toX(to) < 0 || a > width) continue;
    for (let x = Math.floor(a); x <= Math.floor(b) && x < cover.length; x++) {
      cover[x] = Math.min(1, Math.max(cover[x] + Math.min(b, x + 1) - Math.max(a, x), .25));
    }
  }
  u.ctx.save();
  u.ctx.fillStyle = colour(name);
  for (let x = 0; x < width; ) {
    let end = x + 1;
    while (end < width && cover[end] === cover[x]) end++;
    u.ctx.globalAlpha = cover[x];
    if (cover[x]) u.ctx.fillRect(left + x, top, end - x, height);
    x = end;
  }
  u.ctx.restore();
}

// bound draws a size that the replicas stay within.
function bound(u, value) {
  if (value < u.scales.y.min || value > u.scales.y.max) return;
  const {left, width} = u.bbox, y = Math.round(u.valToPos(value, "y", true));
  u.ctx.save();
  u.ctx.strokeStyle = colour("target");
  u.ctx.lineWidth = devicePixelRatio;
  u.ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
  u.ctx.beginPath(); u.ctx.moveTo(left, y); u.ctx.lineTo(left + width, y); u.ctx.stroke();
  u.ctx.restore();
}

const gaps = values => {
  const spans = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null) continue;
    const from = i;
    while (i < last && values[i + 1] == null) i++;
    spans.push([from, Math.min(last, i + 1)]);
  }
  return spans;
};
const same = (a, b) => a.every((v, i) => v === b[i]);

// panels are what is drawn: a trigger's values with what the replicas are to carry, and the replicas.
function panels() {
  const all = [];
  const triggers = [...new Set(runs.flatMap(r => r.triggers.map(t => t.name)))];
  for (const name of triggers) {
    const of = runs.map((r, n) => ({run: r, n, trigger: r.triggers.find(t => t.name === name)})).filter(o => o.trigger);
    const p = {title: name, unit: of[0].trigger.unit, series: [], legend: [], shaded: [], bounds: []};
    of.forEach(({trigger, n}, k) => {
      if (k > 0 && same(of[0].trigger.values, trigger.values)) return;
      p.series.push({values: trigger.values, colour: names[n], area: of.length === 1 || k === 0});
      p.legend.push([names[n], "line", runs.length > 1 && of.length > 1 && !same(of[0].trigger.values, of[of.length - 1].trigger.values) ? `${trigger.unit}, ${runs[n].label}` : trigger.unit]);
    });
    for (const {run, trigger, n} of of) {
      if (!trigger.target) continue;
      p.series.push({values: trigger.whole ? run.to.map(() => trigger.target) : run.to.map(r => r * trigger.target), colour: runs.length > 1 ? names[n] : "target", dashed: true});
      p.legend.push([runs.length > 1 ? names[n] : "target", "dashed", trigger.whole ? `target ${trigger.target}` : `target ${trigger.target} × replicas` + (runs.length > 1 ? `, ${run.label}` : "")]);
    }
    const failed = gaps(of[0].trigger.values);
    if (failed.length) { p.shaded.push([failed, "failed"]); p.legend.push(["failed", "", "reading failed"]); }
    all.push(p);
  }
  runs.forEach((run, n) => {
    const p = {title: runs.length > 1 ? `replicas, ${run.label}` : "replicas", series: [], legend: [], shaded: [], bounds: [run.min, run.max], sizes: true};
    p.series.push({values: run.to, colour: names[n], thick: true});
    p.legend.push([names[n], "line", "replicas"]);
    p.legend.push(["target", "dashed", `min ${run.min}, max ${run.max}`]);
    if (run.held.length) { p.shaded.push([run.held, "held"]); p.legend.push(["held", "", "shrinking held back"]); }
    all.push(p);
  });
  return all;
}

const charts = find("charts");
const most = Math.max(...runs.map(r => r.to.reduce((a, b) => Math.max(a, b), 0)));
const plots = [];
let current = 0, moving = false;

function draw() {
  const all = panels();
  all.forEach((p, n) => {
    const bottom = n === all.length - 1;
    const legend = p.legend.map(([name, kind, text]) => {
      const chip = make("i", "chip " + kind);
      chip.style[kind ? "borderColor" : "background"] = `var(--${name})`;
      return make("span", "", chip, text);
    });
    const box = make("div", "panel", make("h3", "", p.title, ...legend));
    charts.append(box);
    const axis = {stroke: () => colour("soft"), grid: {stroke: () => colour("rule"), width: 1}, ticks: {stroke: () => colour("rule"), width: 1, size: 4}, font: "12px system-ui, sans-serif"};
    plots.push(new uPlot({
      width: charts.clientWidth || 600,
      height: (p.sizes ? 150 : 190) + (bottom ? 36 : 0),
      pxAlign: 0,
      tzDate: seconds => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: {show: false},
      cursor: {y: false, points: {show: false}, sync: {key: "leda", scales: ["x", null]}, drag: {x: true, y: false},
        dataIdx: (u, series, closest, value) => closest > 0 && xs[closest] > value ? closest - 1 : closest},
      scales: {x: {time: true}, y: {range: (u, low, high) => {
        if (p.sizes) { low = 0; high = Math.max(most, runs.every(r => r.max <= 2 * most) ? Math.max(...runs.map(r => r.max)) : 0); }
        return [Math.min(0, low ?? 0), Math.max(high ?? 0, 1) * 1.08];
      }}},
      axes: [
        {...axis, size: bottom ? 40 : 4, space: 70, values: bottom ? times : (u, splits) => splits.map(() => "")},
        {...axis, size: 52, space: 28, incrs: p.sizes ? whole : undefined, values: (u, splits) => splits.map(short)},
      ],
      series: [{}, ...p.series.map(s => ({
        paths: steps, points: {show: false}, stroke: () => colour(s.colour), width: s.dashed ? 1.25 : s.thick ? 2 : 1.5,
        dash: s.dashed ? [5, 4] : undefined, fill: s.area ? () => colour("area") : undefined,
      }))],
      hooks: {
        drawClear: [u => p.shaded.forEach(([spans, name]) => shade(u, spans, name))],
        draw: [u => p.bounds.forEach(value => bound(u, value))],
        setCursor: [u => { if (!moving && u.cursor.idx != null && u.cursor.left >= 0) read(u.cursor.idx); }],
      },
    }, [xs, ...p.series.map(s => s.values)], box));
  });
}

const whole = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 1e5, 1e6, 1e7, 1e8, 1e9];
const units = [[1e9, "G"], [1e6, "M"], [1e4, "k", 1e3]];
const short = v => {
  for (const [from, unit, by = from] of units) if (Math.abs(v) >= from) return +(v / by).toPrecision(3) + unit;
  return String(+v.toPrecision(6));
};

// times labels the time axis: the time of day, and the day where it begins or is not yet said.
function times(u, splits, axis, space, step) {
  let day = "";
  return splits.map(v => {
    const iso = new Date(v * 1000).toISOString(), today = iso.slice(0, 10);
    const time = step < 60 ? iso.slice(11, 19) : iso.slice(11, 16);
    if (today === day) return time;
    day = today;
    return step >= 86400 ? today.slice(5) : `${time}\n${today}`;
  });
}

// read shows the decisions of one look.
function read(i) {
  current = i;
  const parts = runs.map((run, n) => {
    const p = make("p", "", make("b", names[n], runs.length > 1 ? `${run.label}: ` : "", size(run, i)), ` ${reasons[run.reason[i]]}`);
    p.append(" · " + whys[run.why[i]]);
    return p;
  });
  find("readout").replaceChildren(make("p", "", make("b", "", when(i)), " UTC"), ...parts);
}

// choose moves the cursor to a look, and the view with it.
function choose(i) {
  i = Math.max(0, Math.min(last, i));
  const {min, max} = plots[0].scales.x;
  if (xs[i] < min || xs[i] > max) view(xs[i] - (max - min) / 2, xs[i] + (max - min) / 2);
  moving = true;
  for (const u of plots) u.setCursor({left: u.valToPos(xs[i], "x"), top: 1}, true, false);
  moving = false;
  read(i);
}

const shortest = 5; // seconds
function view(from, to) {
  const width = Math.min(Math.max(to - from, shortest), xs[last] - xs[0] || shortest);
  const begin = Math.max(xs[0], Math.min(from, xs[last] - width));
  for (const u of plots) u.setScale("x", {min: begin, max: begin + width});
}
function zoom(by) {
  const {min, max} = plots[0].scales.x, centre = xs[current] >= min && xs[current] <= max ? xs[current] : (min + max) / 2;
  view(centre - (centre - min) * by, centre + (max - centre) * by);
  requestAnimationFrame(() => choose(current));
}
function all() { view(xs[0], xs[last]); requestAnimationFrame(() => choose(current)); }
const changed = i => runs.some(run => run.from[i] !== run.to[i]);
function nextChange(way) {
  for (let i = current + way; i >= 0 && i <= last; i += way) if (changed(i)) return choose(i);
}

const keys = {
  ArrowLeft: e => e.shiftKey ? nextChange(-1) : choose(current - 1),
  ArrowRight: e => e.shiftKey ? nextChange(1) : choose(current + 1),
  Home: () => choose(0), End: () => choose(last),
  "+": () => zoom(.5), "=": () => zoom(.5), "-": () => zoom(2), "0": all,
};
charts.addEventListener("keydown", e => {
  if (!keys[e.key] || e.ctrlKey || e.metaKey || e.altKey) return;
  e.preventDefault();
  find("readout").setAttribute("aria-live", "polite");
  keys[e.key](e);
});
charts.addEventListener("pointermove", () => find("readout").setAttribute("aria-live", "off"));
for (const [id, act] of Object.entries({closer: () => zoom(.5), wider: () => zoom(2), whole: all, before: () => nextChange(-1), after: () => nextChange(1)})) {
  find(id).addEventListener("click", act);
}

// The table of decisions, in pages.
const pageLength = 100;
let chosen = [], page = 0;
const kinds = {
  changes: (run, i) => run.from[i] !== run.to[i],
  reasons: (run, i) => i === 0 || run.from[i] !== run.to[i] || run.reason[i] !== run.reason[i - 1],
  all: () => true,
};
function filter() {
  const kind = kinds[find("which").value], of = find("run").value;
  chosen = [];
  for (let i = 0; i <= last; i++) {
    runs.forEach((run, n) => { if ((of === "" || of === String(n)) && kind(run, i)) chosen.push([i, n]); });
  }
  page = 0;
  list();
}
function list(length = pageLength) {
  const from = page * length, shown = chosen.slice(from, from + length);
  find("rows").replaceChildren(...shown.map(([i, n]) => {
    const go = make("button", "", when(i));
    go.type = "button";
    go.addEventListener("click", () => { choose(i); charts.focus(); });
    const run = runs[n], change = make("td", runs.length > 1 ? names[n] : "", size(run, i));
    return make("tr", "", make("td", "", go), change, make("td", "", reasons[run.reason[i]]), make("td", "", (runs.length > 1 ? run.label + ": " : "") + whys[run.why[i]]));
  }));
  find("place").textContent = chosen.length ? `${from + 1}–${from + shown.length} of ${chosen.length}` : "none";
  find("back").disabled = page === 0;
  find("forth").disabled = from + length >= chosen.length;
}
find("which").addEventListener("change", filter);
find("run").addEventListener("change", filter);
find("back").addEventListener("click", () => { page--; list(); });
find("forth").addEventListener("click", () => { page++; list(); });
const option = (value, text) => { const o = make("option", "", text); o.value = value; return o; };
find("run").append(option("", "both"), ...runs.map((run, n) => option(String(n), run.label)));
find("ofRun").hidden = runs.length < 2;
if (runs.every(run => run.to.every((to, i) => to === run.from[i]))) find("which").value = "reasons";

draw();
filter();
requestAnimationFrame(() => choose(0)); // uPlot sets its scales after this script

const fit = width => plots.forEach(u => { if (width > 0 && u.width !== width) u.setSize({width, height: u.height}); });
new ResizeObserver(() => { if (!document.documentElement.classList.contains("printing")) fit(charts.clientWidth); }).observe(charts);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach(u => u.redraw(false)));
// On paper: the light colours, the paper's width, and more of the table.
addEventListener("beforeprint", () => {
  document.documentElement.classList.add("printing");
  fit(680); plots.forEach(u => u.redraw(false));
  list(1000);
});
addEventListener("afterprint", () => {
  document.documentElement.classList.remove("printing");
  fit(charts.clientWidth); plots.forEach(u => u.redraw(false));
  list();
});
})();
