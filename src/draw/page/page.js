// The page of one or more traces. It reads the data of the page, and draws it; it asks for nothing else.
//
// State: the traces, the chosen call, what of the time axis is in view, and the filter. Each part of the page has a function
// that draws it anew from the state. All texts of the data reach the page as text nodes: no name in a trace can become markup.
"use strict";

/* ---- Words ---- */

const OUTCOMES = [
  { name: "ok", words: "done", sign: "\u2713" },
  { name: "expected", words: "refused, as expected", sign: "\u25cb" },
  { name: "failed", words: "refused, and the work went on", sign: "\u2715" },
  { name: "ended", words: "refused, and this ended the command", sign: "\u2716" },
  { name: "running", words: "it had not returned", sign: "\u2026" },
];
/** What the data says of a namespace that no call has made. */
const HOSTS = "the host's";
/** These calls take the time of others: they wait. */
const WAITS = /^(ppoll|poll|waitid|wait4|rt_sigtimedwait|read|recvmsg|recvfrom|futex|nanosleep|clock_nanosleep|epoll_p?wait2?|pause)$/;
const SECTIONS = {
  namespaces: "Namespaces", mounts: "Mount tree", cgroup: "Cgroup", capabilities: "Capabilities", ids: "User and groups",
  rights: "Limits and privileges", process: "Process", descriptors: "Descriptors",
};
const THEMES = ["system", "light", "dark"];

/** Heights on the time axis: of a bar, of a lane's strip for steps, of the times, and of the flags of milestones. */
const BAR = 20;
const STRIP = 14;
const RULER = 14;
const FLAGS = 13;

/* ---- Data ---- */

const data = JSON.parse(document.getElementById("data").textContent);
const text = (number) => data.strings[number];
const traces = data.traces.map(readTrace);

function readTrace(raw, place) {
  const lanes = raw.lanes.map(([name, pid, about]) => readLane(text(name), pid, text(about)));
  const lines = raw.lines.map(([number, words, stage, pointer, mark, ofExec]) => (
    { number, words: text(words), stage: text(stage), pointer: text(pointer), mark: text(mark), ofExec: ofExec === 1 }));
  const trace = { place, name: text(raw.name), when: text(raw.when), took: raw.took, missing: raw.missing, lanes, lines, waits: raw.waits };
  let start = 0;
  trace.calls = raw.calls.map((fields, i) => {
    start += fields[3];
    return readCall(trace, i, fields, start);
  });
  for (const call of trace.calls) if (laneOf(call).pid && laneOf(call).pid !== call.pid) laneOf(call).others = true;
  trace.remarks = raw.remarks.map(text);
  trace.end = text(raw.end);
  trace.marks = raw.marks.map(([call, name, about]) => ({ call, name: text(name), about: text(about) }));
  trace.config = new Map(raw.config.map(([pointer, piece]) => [text(pointer), text(piece)]));
  trace.began = trace.calls.length ? trace.calls[0].start : 0;
  trace.changes = raw.changes.map((fields) => readChange(fields));
  for (const change of trace.changes) trace.calls[change.call].changes.push(change);
  for (const [call, hint] of raw.hints) trace.calls[call].hint = text(hint);
  for (const call of raw.asked) trace.calls[call].asked = true;
  for (const [from, to, birth] of raw.waits) {
    trace.calls[to].after.push(from);
    trace.calls[from].before.push(to);
    trace.calls[to].birth = birth === 1;
  }
  return trace;
}

/** A lane. A program has one step only: its lane needs no strip for steps. */
function readLane(name, pid, about) {
  const strip = name === "program" ? 0 : STRIP;
  return { name, pid, about, strip, high: BAR + 8 + strip, y: 0, others: false };
}

function readCall(trace, i, fields, start) {
  const [lane, number, line, , took, name, args, result, outcome, reason, why, source, step, pid] = fields;
  return {
    trace, i, lane, number, line: trace.lines[line], start, end: start + Math.max(took, 0), took, outcome, pid,
    name: text(name), args: args.map(text), result: text(result), reason: text(reason), why: text(why),
    source: text(source), step: text(step), waits: WAITS.test(text(name)), changes: [], after: [], before: [], x0: 0, x1: 0, shown: true, asked: false, hint: "", hay: "",
  };
}

function readChange([call, op, holder, section, key, value, parent, words]) {
  return { call, op, holder: text(holder), section: text(section), key: text(key), value: text(value), parent: text(parent), words: text(words) };
}

function laneOf(call) {
  return call.trace.lanes[call.lane];
}

const laneName = (call) => laneOf(call).name;
const inFull = (call) => `${call.name}(${call.args.join(", ")})`;
const answer = (call) => (call.outcome === 4 ? "?" : call.result);

function duration(ns) {
  const size = Math.abs(ns);
  if (size < 1) return "0";
  if (size < 1e3) return `${ns.toFixed(0)} ns`;
  if (size < 1e6) return `${(ns / 1e3).toFixed(size < 1e4 ? 1 : 0)} \u00b5s`;
  if (size < 1e9) return `${(ns / 1e6).toFixed(size < 1e7 ? 2 : 1)} ms`;
  return `${(ns / 1e9).toFixed(2)} s`;
}

/* ---- State ---- */

const state = {
  trace: traces[0], call: null, list: [], from: 0, to: 1, scale: "short", zero: "", opened: new Map(),
};
const at = (id) => document.getElementById(id);

/** An element with attributes and children; a child that is a string becomes a text node. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...there(children));
  return element;
}

/** Puts children in the place of those that an element has. */
const put = (element, ...children) => element.replaceChildren(...there(children));

/** Those of the children that are there. */
const there = (children) => children.filter((child) => child !== null && child !== undefined && child !== "");

/* ---- Time scales ---- */

/** The times at which something begins or ends, each with its place on the axis. */
function knots(trace) {
  const starts = new Map();
  const times = new Set();
  for (const call of trace.calls) {
    times.add(call.start);
    times.add(call.end);
    starts.set(call.start, (starts.get(call.start) || 0) + 1);
  }
  const sorted = Float64Array.from(times).sort();
  const gaps = sorted.slice(1).map((time, i) => time - sorted[i]).sort();
  const cap = state.scale === "short" ? 3 * (gaps[Math.floor(gaps.length * 0.9)] || 1) : Infinity;
  trace.times = sorted;
  trace.places = new Float64Array(sorted.length);
  trace.cuts = [];
  for (let i = 1; i < sorted.length; i++) {
    const gap = sorted[i] - sorted[i - 1];
    let width = Math.min(gap, cap);
    if (state.scale === "even") width = 0.1 + (starts.get(sorted[i - 1]) || 0);
    else if (gap > cap) trace.cuts.push([sorted[i - 1], sorted[i], gap / cap]);
    trace.places[i] = trace.places[i - 1] + width;
  }
}

/** The number between two others that a value between two others has. */
function between(values, results, value) {
  let low = 0;
  let high = values.length - 1;
  if (high < 1 || value <= values[0]) return (results[0] || 0) + Math.min(0, value - (values[0] || 0));
  if (value >= values[high]) return results[high] + value - values[high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) low = middle;
    else high = middle;
  }
  const part = (value - values[low]) / (values[high] - values[low] || 1);
  return results[low] + part * (results[high] - results[low]);
}

const placeOf = (trace, time) => between(trace.times, trace.places, time) + trace.shift;
const timeAt = (trace, place) => between(trace.places, trace.times, place - trace.shift);

/** The milestones that all traces have, in the same order: two lanes may pass theirs one way in a trace, the other in the next. */
function commonMarks() {
  const has = (trace, name) => trace.marks.some((mark) => mark.name === name);
  let names = traces[0].marks.map((mark) => mark.name).filter((name) => traces.every((trace) => has(trace, name)));
  const before = (one, other) => traces.map((trace) => markTime(trace, one) < markTime(trace, other));
  const crosses = (one) => names.filter((other) => new Set(before(one, other)).size > 1).length;
  for (;;) {
    const counts = names.map(crosses);
    const most = Math.max(0, ...counts);
    if (most === 0) return names;
    const worst = counts.indexOf(most);
    names = names.filter((_, i) => i !== worst);
  }
}

function markTime(trace, name) {
  const mark = trace.marks.find((one) => one.name === name);
  return mark ? trace.calls[mark.call].start : trace.began;
}

/** Stretches each trace between two milestones as wide as the widest of all traces. */
function stretch() {
  const names = commonMarks();
  const cuts = traces.map((trace) => {
    const places = names.map((name) => between(trace.times, trace.places, markTime(trace, name)));
    return [0, ...places.sort((a, b) => a - b), trace.places[trace.places.length - 1] || 0];
  });
  const wide = [0];
  for (let i = 1; i < names.length + 2; i++) wide.push(wide[i - 1] + Math.max(...cuts.map((cut) => cut[i] - cut[i - 1])));
  traces.forEach((trace, t) => {
    trace.places = trace.places.map((place) => between(cuts[t], wide, place));
  });
}

/** Places all calls on the axis anew. */
function rescale() {
  traces.forEach((trace) => knots(trace));
  if (state.zero === "*") stretch();
  for (const trace of traces) {
    trace.shift = 0;
    trace.zero = state.zero && state.zero !== "*" ? markTime(trace, state.zero) : trace.began;
    trace.shift = -placeOf(trace, trace.zero);
    for (const call of trace.calls) {
      call.x0 = placeOf(trace, call.start);
      call.x1 = state.scale === "even" ? Math.max(placeOf(trace, call.end), call.x0 + 0.9) : placeOf(trace, call.end);
    }
    trace.strips = strips(trace);
  }
  showAll();
}

/** Stretches of calls of one lane and one step. */
function strips(trace) {
  const all = [];
  const open = new Map();
  for (const call of trace.calls) {
    const last = open.get(call.lane);
    if (last && last.step === call.step) {
      last.x1 = Math.max(last.x1, call.x1);
      continue;
    }
    const strip = { lane: call.lane, step: call.step, x0: call.x0, x1: call.x1, even: last ? !last.even : false };
    open.set(call.lane, strip);
    all.push(strip);
  }
  return all;
}

function extent() {
  const all = traces.filter((trace) => trace.calls.length);
  const from = Math.min(...all.map((trace) => placeOf(trace, trace.began)));
  const to = Math.max(...all.map((trace) => trace.calls.reduce((last, call) => Math.max(last, call.x1), from)));
  const edge = (to - from) * 0.01 || 1;
  return [from - edge, to + edge];
}

function showAll() {
  [state.least, state.most] = extent();
  look(state.least, state.most);
}

/** Shows this part of the axis, as far as it exists. */
function look(from, to) {
  const whole = state.most - state.least;
  const span = Math.min(Math.max(to - from, whole / 1e5), whole);
  state.from = Math.min(Math.max(from, state.least), state.most - span);
  state.to = state.from + span;
  drawSoon();
}

function zoom(factor, middle) {
  const span = (state.to - state.from) * factor;
  const part = (middle - state.from) / (state.to - state.from);
  look(middle - part * span, middle + (1 - part) * span);
}

/** Zooms at the chosen call if it is in view, else in the middle. */
function zoomHere(factor) {
  const place = state.call ? (state.call.x0 + state.call.x1) / 2 : 0;
  const inView = state.call && place > state.from && place < state.to;
  zoom(factor, inView ? place : (state.from + state.to) / 2);
}

function pan(part) {
  const by = (state.to - state.from) * part;
  look(state.from + by, state.to + by);
}

/** Moves the view if the call is not in it. */
function follow(call) {
  const span = state.to - state.from;
  const edge = span * 0.04;
  if (call.x0 < state.from + edge || call.x0 > state.to - edge) look(call.x0 - span * 0.3, call.x0 + span * 0.7);
}

/* ---- The time axis ---- */

const canvas = at("axis");
const pen = canvas.getContext("2d");
const box = { width: 0, height: 0, gutter: 90 };
let colors = {};
let drawing = false;

function drawSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw();
  });
}

/** Gives each trace and each lane its place on the canvas. */
function layOut() {
  box.width = at("stage").clientWidth;
  box.gutter = box.width < 600 ? 62 : 96;
  let y = 8;
  for (const trace of traces) {
    trace.y = y;
    y += (traces.length > 1 ? 18 : 0) + RULER + (trace.marks.length ? FLAGS : 0);
    trace.rows = y;
    for (const lane of trace.lanes) {
      lane.y = y;
      y += lane.high;
    }
    trace.bottom = y + 8;
    y += 14;
  }
  box.height = y;
  const dots = window.devicePixelRatio || 1;
  canvas.width = box.width * dots;
  canvas.height = box.height * dots;
  canvas.style.height = `${box.height}px`;
  pen.setTransform(dots, 0, 0, dots, 0, 0);
  readColors();
  drawSoon();
}

function readColors() {
  const style = getComputedStyle(document.documentElement);
  const names = ["card", "text", "soft", "line", "chosen", "accent", "ok", "expected", "failed", "running", "wait", "step-a", "step-b"];
  colors = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  colors.hatch = hatch(colors.expected);
}

/** Oblique lines, for bars that no colour tells apart. */
function hatch(color) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const brush = tile.getContext("2d");
  brush.strokeStyle = color;
  brush.lineWidth = 1.6;
  for (const shift of [-6, 0, 6]) {
    brush.moveTo(shift - 1, 7);
    brush.lineTo(shift + 7, -1);
  }
  brush.stroke();
  return pen.createPattern(tile, "repeat");
}

const toX = (place) => box.gutter + ((place - state.from) / (state.to - state.from)) * (box.width - box.gutter);
const toPlace = (x) => state.from + ((x - box.gutter) / (box.width - box.gutter)) * (state.to - state.from);
/** The upper edge of a call's bar. All bars are of the same height. */
const barY = (call) => laneOf(call).y + laneOf(call).strip + 3;

function draw() {
  if (!box.width || !traces.some((trace) => trace.calls.length)) return;
  pen.fillStyle = colors.card;
  pen.fillRect(0, 0, box.width, box.height);
  drawThumb();
  pen.save();
  pen.beginPath();
  pen.rect(box.gutter, 0, box.width - box.gutter, box.height);
  pen.clip();
  for (const trace of traces) {
    drawRuler(trace);
    drawStrips(trace);
    drawBars(trace);
  }
  traces.forEach(drawWaits);
  drawCursor();
  pen.restore();
  traces.forEach(drawNames);
}

/** Shows at the upper edge which part of the axis is in view. */
function drawThumb() {
  const whole = state.most - state.least;
  const wide = box.width - box.gutter;
  pen.fillStyle = colors["step-a"];
  pen.fillRect(box.gutter, 0, wide, 4);
  pen.fillStyle = colors.accent;
  pen.fillRect(box.gutter + ((state.from - state.least) / whole) * wide, 0, Math.max(8, ((state.to - state.from) / whole) * wide), 4);
}

/** Times for marks of the ruler: round ones if the scale is true, else one each so many pixels. */
function ticks(trace) {
  const wide = box.width - box.gutter;
  const count = Math.max(2, Math.floor(wide / 120));
  if (state.scale === "true" && state.zero !== "*") {
    const step = roundStep((state.to - state.from) / count);
    const first = Math.ceil((timeAt(trace, state.from) - trace.zero) / step);
    return Array.from({ length: count * 3 }, (_, i) => (first + i) * step + trace.zero);
  }
  const width = (state.to - state.from) / count;
  const first = Math.ceil(state.from / width);
  return Array.from({ length: count + 1 }, (_, i) => timeAt(trace, (first + i) * width));
}

/** A time of the ruler, with so many digits that the next one is another. */
function tickWords(ns, gap) {
  if (Math.abs(ns) < 1) return "0";
  const [unit, name] = [[1e9, "s"], [1e6, "ms"], [1e3, "\u00b5s"], [1, "ns"]].find(([size]) => Math.abs(ns) >= size);
  const digits = Math.ceil(Math.log10(unit / Math.max(gap, 1))) + (state.scale === "true" ? 0 : 1);
  return `${(ns / unit).toFixed(Math.min(Math.max(digits, 0), 6))} ${name}`;
}

function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((digit) => digit * power).find((step) => step >= least);
}

function drawRuler(trace) {
  const y = trace.rows - (trace.marks.length ? FLAGS : 0);
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "alphabetic";
  const times = ticks(trace);
  times.forEach((time, i) => {
    const x = Math.round(toX(placeOf(trace, time))) + 0.5;
    pen.strokeStyle = colors.line;
    pen.beginPath();
    pen.moveTo(x, y - 9);
    pen.lineTo(x, trace.bottom);
    pen.stroke();
    pen.fillStyle = colors.soft;
    const next = times[i + 1] ?? 2 * time - times[i - 1];
    pen.fillText(tickWords(time - trace.zero, next - time), x + 3, y - 3);
  });
  drawCuts(trace);
  drawMarks(trace);
}

/** Shows where time was cut out, and how much: a pale field; where it is most of the time, a torn line. */
function drawCuts(trace) {
  const [top, bottom] = [trace.rows, trace.bottom];
  for (const [from, to, times] of trace.cuts) {
    const [x0, x1] = [toX(placeOf(trace, from)), toX(placeOf(trace, to))];
    if (x1 < box.gutter || x0 > box.width || x1 - x0 < 5) continue;
    pen.fillStyle = colors["step-a"];
    pen.fillRect(x0, top, x1 - x0, bottom - top);
    if (times > 25) drawTear((x0 + x1) / 2, top, bottom);
    const words = duration(to - from);
    if (x1 - x0 < pen.measureText(words).width + 14) continue;
    pen.fillStyle = colors.soft;
    pen.fillText(words, (x0 + x1) / 2 + 5, bottom - 2);
  }
}

function drawTear(x, top, bottom) {
  pen.strokeStyle = colors.soft;
  pen.beginPath();
  for (let y = top, side = 2; y < bottom; y += 5, side = -side) pen.lineTo(x + side, y);
  pen.stroke();
}

/** Milestones: a flag above the lanes, with its name where the next flag leaves room. */
function drawMarks(trace) {
  pen.font = "10.5px system-ui, sans-serif";
  const flags = trace.marks.map((mark) => [mark, flagX(trace, mark)]).filter(([, x]) => x >= box.gutter && x <= box.width);
  flags.sort(([, a], [, b]) => a - b);
  flags.forEach(([mark, x], i) => {
    const room = (i + 1 < flags.length ? flags[i + 1][1] - 6 : box.width) - x - 8;
    pen.fillStyle = colors.wait;
    pen.beginPath();
    pen.moveTo(x, trace.rows);
    pen.lineTo(x - 4, trace.rows - 6);
    pen.lineTo(x + 4, trace.rows - 6);
    pen.fill();
    if (room > 44) pen.fillText(cutTo(mark.name, room, 5.6), x + 6, trace.rows - 2);
  });
}

const flagX = (trace, mark) => toX(trace.calls[mark.call].x0);

/** The milestone that has its flag at a place of the canvas. */
function markAt(x, y) {
  const trace = traces.find((one) => y < one.rows && y > one.rows - FLAGS);
  const far = (mark) => Math.abs(flagX(trace, mark) - x);
  const near = trace ? trace.marks.filter((mark) => far(mark) < 7) : [];
  return near.reduce((best, mark) => (best && far(best) <= far(mark) ? best : mark), null);
}

function drawStrips(trace) {
  pen.font = "10.5px system-ui, sans-serif";
  for (const strip of trace.strips.filter((one) => trace.lanes[one.lane].strip)) {
    const x0 = Math.max(toX(strip.x0), box.gutter);
    const x1 = Math.min(toX(strip.x1), box.width);
    if (x1 < box.gutter || x0 > box.width) continue;
    const y = trace.lanes[strip.lane].y + 3;
    pen.fillStyle = strip.even ? colors["step-b"] : colors["step-a"];
    pen.fillRect(x0, y, Math.max(x1 - x0, 1), STRIP - 2);
    const words = brief(strip.step);
    if (x1 - x0 > 34) {
      pen.fillStyle = colors.soft;
      pen.fillText(cutTo(words, x1 - x0 - 6, 5.6), x0 + 3, y + 9.5);
    }
  }
}

/** A step in few words: `lifecycle 2, create: the mounts` is `the mounts`. */
const brief = (step) => step.split(": ").pop().replace(/^lifecycle (?:[\d, ]|to |and )+/, "");

/** As much of a text as fits in so many pixels. */
function cutTo(words, pixels, each) {
  const most = Math.floor(pixels / each);
  return words.length <= most ? words : `${words.slice(0, Math.max(most - 1, 1))}\u2026`;
}

function drawBars(trace) {
  const filled = new Array(trace.lanes.length).fill(-1);
  const later = [];
  for (const call of trace.calls) {
    const x0 = toX(call.x0);
    const x1 = Math.max(toX(call.x1), x0 + 1.5);
    if (x1 < box.gutter || x0 > box.width) continue;
    if (call.outcome > 0 || !call.shown) {
      later.push([call, x0, x1]);
    } else if (x1 > filled[call.lane] + 0.5) {
      drawBar(call, x0, x1);
      filled[call.lane] = x1;
    }
  }
  later.sort(([a], [b]) => (a.shown - b.shown) || (a.outcome % 4) - (b.outcome % 4));
  const last = new Map();
  for (const [call, x0, x1] of later) {
    const key = call.lane * 16 + call.outcome * 2 + (call.shown ? 1 : 0);
    if (x1 < (last.get(key) ?? -1) + 0.5 && x0 > (last.get(key) ?? -1) - 1) continue;
    drawBar(call, x0, x1);
    last.set(key, x1);
  }
}

/** One bar. Its form tells the outcome: full, low and hatched, with a wedge above, or open at its end. */
function drawBar(call, x0, x1) {
  const y = barY(call);
  const [width, height] = [x1 - x0, BAR];
  const color = colors[OUTCOMES[call.outcome].name] || colors.failed;
  pen.globalAlpha = call.shown ? 1 : 0.15;
  pen.fillStyle = color;
  pen.strokeStyle = color;
  if (call.outcome === 1) {
    pen.fillStyle = width > 4 ? colors.hatch : color;
    pen.fillRect(x0, y + height / 2, width, height / 2);
    pen.strokeRect(x0 + 0.5, y + height / 2 + 0.5, Math.max(width - 1, 0.5), height / 2 - 1);
  } else if (call.outcome === 4) {
    pen.setLineDash([3, 2]);
    pen.strokeRect(x0 + 0.5, y + 0.5, Math.max(box.width - x0, width), height - 1);
    pen.setLineDash([]);
  } else if (call.waits && width > 3) {
    pen.globalAlpha *= 0.25;
    pen.fillRect(x0, y, width, height);
    pen.globalAlpha *= 4;
    pen.strokeRect(x0 + 0.5, y + 0.5, width - 1, height - 1);
  } else {
    pen.fillRect(x0, y, Math.max(width - (width > 3 ? 0.6 : 0), 1), height);
  }
  if (call.outcome === 2 || call.outcome === 3) drawWedge(x0, y, call.outcome === 3 ? 8 : 5);
  if (width > 26) drawLabel(call, Math.max(x0, box.gutter), Math.min(x1, box.width), y + height / 2 + 4);
  pen.globalAlpha = 1;
}

function drawWedge(x, y, size) {
  pen.beginPath();
  pen.moveTo(x - size, y - size - 1);
  pen.lineTo(x + size, y - size - 1);
  pen.lineTo(x, y + 1);
  pen.fill();
}

function drawLabel(call, x0, x1, y) {
  if (x1 - x0 < 26) return;
  pen.font = "11px ui-monospace, 'DejaVu Sans Mono', monospace";
  pen.fillStyle = call.waits || call.outcome === 4 ? colors.text : colors.card;
  if (call.outcome !== 1) pen.fillText(cutTo(call.name, x1 - x0 - 6, 6.7), x0 + 3, y);
}

/** Arrows from the call that others waited for to the end of the wait. */
function drawWaits(trace) {
  pen.lineWidth = 1;
  for (const [from, to, birth] of trace.waits) {
    const [one, other] = [trace.calls[from], trace.calls[to]];
    const chosen = state.call === one || state.call === other;
    const [x0, x1] = [toX(birth ? one.x0 : one.x1), toX(birth ? other.x0 : other.x1)];
    if (Math.max(x0, x1) < box.gutter || Math.min(x0, x1) > box.width || one.lane === other.lane) continue;
    pen.globalAlpha = chosen ? 1 : 0.6;
    pen.lineWidth = chosen ? 2.2 : 1.2;
    drawArrow(x0, barMiddle(one), x1, barMiddle(other));
  }
  pen.globalAlpha = 1;
  pen.lineWidth = 1;
}

const barMiddle = (call) => barY(call) + BAR / 2;

function drawArrow(x0, y0, x1, y1) {
  const down = y1 > y0 ? 1 : -1;
  const [start, end] = [y0 + down * 8, y1 - down * 9];
  pen.strokeStyle = colors.wait;
  pen.fillStyle = colors.wait;
  pen.beginPath();
  pen.moveTo(x0, start);
  pen.bezierCurveTo(x0, start + down * 12, x1, end - down * 12, x1, end);
  pen.stroke();
  pen.beginPath();
  pen.moveTo(x1, end + down * 4);
  pen.lineTo(x1 - 4, end - down * 3);
  pen.lineTo(x1 + 4, end - down * 3);
  pen.fill();
}

/** The chosen call, and a line at its end through all lanes. */
function drawCursor() {
  const call = state.call;
  if (!call) return;
  const [x0, x1] = [toX(call.x0), toX(call.x1)];
  pen.strokeStyle = colors.text;
  pen.setLineDash([4, 3]);
  pen.beginPath();
  pen.moveTo(x1 + 0.5, 4);
  pen.lineTo(x1 + 0.5, box.height);
  pen.stroke();
  pen.setLineDash([]);
  pen.lineWidth = 2;
  pen.strokeRect(x0 - 2, barY(call) - 2, Math.max(x1 - x0, 1.5) + 4, BAR + 4);
  pen.lineWidth = 1;
}

function drawNames(trace) {
  pen.fillStyle = colors.card;
  pen.fillRect(0, trace.y - 4, box.gutter - 2, trace.bottom - trace.y + 12);
  pen.fillStyle = colors.text;
  if (traces.length > 1) {
    pen.font = "600 12px system-ui, sans-serif";
    pen.fillText(trace.name, 0, trace.y + 13);
  }
  for (const lane of trace.lanes) drawName(lane);
}

/** The name of a lane, and its process: below the name where the lane is high, else beside it. */
function drawName(lane) {
  const y = lane.y + (lane.strip ? 20 : 17);
  const name = cutTo(lane.name, box.gutter - 8, 7);
  pen.fillStyle = colors.text;
  pen.font = "600 12px system-ui, sans-serif";
  pen.fillText(name, 0, y);
  const beside = pen.measureText(name).width + 6;
  const small = box.gutter < 70;
  pen.fillStyle = colors.soft;
  pen.font = "10.5px system-ui, sans-serif";
  if (lane.pid && lane.strip) pen.fillText(`${small ? "" : "process "}${lane.pid}`, 0, y + 14);
  else if (lane.pid && !small) pen.fillText(`${lane.pid}${lane.others ? " \u2026" : ""}`, beside, y);
}

/** The call at a place of the canvas; none if there is none near. */
function callAt(x, y) {
  for (const trace of traces) {
    const lane = trace.lanes.findIndex((one) => y >= one.y && y < one.y + one.high);
    if (lane < 0) continue;
    let best = null;
    let least = 8;
    for (const call of trace.calls) {
      if (call.lane !== lane) continue;
      const [x0, x1] = [toX(call.x0), Math.max(toX(call.x1), toX(call.x0) + 1.5)];
      const far = x < x0 ? x0 - x : x > x1 ? x - x1 : Math.min((x1 - x0) / 1e4, 0.5);
      if (far <= least) [best, least] = [call, far];
    }
    return best;
  }
  return null;
}

/** The last call that had ended at a place of the canvas. */
function callBefore(x, y) {
  const trace = traces.filter((one) => y >= one.y).pop() || traces[0];
  const place = toPlace(x);
  return trace.calls.filter((call) => call.x1 <= place).reduce((last, call) => (last && last.x1 > call.x1 ? last : call), null);
}

/* ---- Mouse ---- */

const fingers = new Map();
let moved = 0;

function pointerDown(event) {
  fingers.set(event.pointerId, event.offsetX);
  canvas.setPointerCapture(event.pointerId);
  moved = 0;
}

function pointerMove(event) {
  const before = fingers.get(event.pointerId);
  if (before === undefined) return showTip(event);
  const others = [...fingers.entries()].filter(([id]) => id !== event.pointerId).map(([, x]) => x);
  if (others.length) {
    const [apart, now] = [Math.abs(before - others[0]), Math.abs(event.offsetX - others[0])];
    if (apart > 4 && now > 4) zoom(apart / now, toPlace(others[0]));
  } else {
    pan(((before - event.offsetX) / (box.width - box.gutter)));
  }
  moved += Math.abs(event.offsetX - before);
  fingers.set(event.pointerId, event.offsetX);
  canvas.classList.toggle("moves", moved > 3);
  hideTip();
}

function pointerUp(event) {
  const pressed = fingers.delete(event.pointerId);
  canvas.classList.remove("moves");
  if (!pressed || moved > 3) return;
  const [x, y] = [event.offsetX, event.offsetY];
  const mark = markAt(x, y);
  const call = mark ? traces.find((trace) => trace.marks.includes(mark)).calls[mark.call] : callAt(x, y) || callBefore(x, y);
  if (call) choose(call);
}

function wheel(event) {
  event.preventDefault();
  const sideways = event.shiftKey ? event.deltaY : event.deltaX;
  if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) pan(sideways / 1000);
  else zoom(1.0016 ** Math.max(-400, Math.min(400, event.deltaY)), toPlace(event.offsetX));
}

function doubleClick(event) {
  const call = callAt(event.offsetX, event.offsetY);
  if (!call) return;
  const span = Math.max(call.x1 - call.x0, (state.most - state.least) / 1e4) * 3;
  look((call.x0 + call.x1 - span) / 2, (call.x0 + call.x1 + span) / 2);
}

function showTip(event) {
  const [mark, call] = [markAt(event.offsetX, event.offsetY), callAt(event.offsetX, event.offsetY)];
  if (!mark && !call) return hideTip();
  const tip = at("tip");
  put(tip, ...(mark ? tipOfMark(mark) : tipOfCall(call)));
  tip.hidden = false;
  tip.style.left = `${Math.max(0, Math.min(event.offsetX + 12, box.width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${event.offsetY + 18}px`;
}

const tipOfMark = (mark) => [make("b", {}, mark.name), make("div", {}, ...coded(mark.about))];

function tipOfCall(call) {
  const long = inFull(call);
  return [
    make("div", { class: "mono" }, `${long.length > 160 ? `${long.slice(0, 160)}\u2026` : long} = ${answer(call)}`),
    make("div", {}, ...coded(call.why)),
    make("div", { class: "where" }, `${call.number}, ${laneName(call)}, ${took(call)}`),
  ];
}

const hideTip = () => { at("tip").hidden = true; };
const took = (call) => (call.took < 0 ? "not returned" : `it took ${duration(call.took)}`);

/* ---- The list of calls ---- */

const HIGH = 42;
const calls = at("calls");
const rows = at("rows");

function drawList() {
  rows.style.height = `${state.list.length * HIGH}px`;
  const chosen = state.list.indexOf(state.call);
  const first = Math.max(0, Math.floor(calls.scrollTop / HIGH) - 4);
  const last = Math.min(state.list.length, first + Math.ceil((calls.clientHeight || 400) / HIGH) + 9);
  const wanted = new Set();
  for (let i = first; i < last; i++) wanted.add(i);
  if (chosen >= 0) wanted.add(chosen);
  put(rows, ...[...wanted].sort((a, b) => a - b).map((i) => row(state.list[i], i)));
  if (chosen >= 0) calls.setAttribute("aria-activedescendant", `call-${state.call.i}`);
  else calls.removeAttribute("aria-activedescendant");
}

function row(call, place) {
  const outcome = OUTCOMES[call.outcome];
  const attributes = {
    class: "row", role: "option", id: `call-${call.i}`, style: `top:${place * HIGH}px`, "aria-selected": `${call === state.call}`,
    "aria-posinset": place + 1, "aria-setsize": state.list.length, "data-number": call.number,
    "aria-label": `${call.number}, ${laneName(call)}: ${inFull(call)} = ${answer(call)}; ${outcome.words}; ${call.why}`,
    on: { click: () => choose(call), dblclick: () => read() },
  };
  const head = make("div", {},
    make("span", { class: "number" }, `${call.number}`),
    make("span", { class: `sign ${outcome.name}` }, outcome.sign), " ",
    make("span", { class: "lane" }, laneName(call)),
    make("span", { class: "mono" }, `${inFull(call).slice(0, 200)} = ${answer(call)}`));
  return make("div", attributes, head, make("div", { class: "why" }, ...coded(call.why)));
}

/** Scrolls the list so that the chosen row is in view. */
function reveal() {
  const place = state.list.indexOf(state.call);
  if (place < 0) return;
  const [top, bottom] = [place * HIGH, (place + 1) * HIGH];
  const [first, last] = [calls.scrollTop, calls.scrollTop + calls.clientHeight];
  if (top < first - HIGH || bottom > last + HIGH) calls.scrollTop = top - calls.clientHeight / 3;
  else if (top < first) calls.scrollTop = top;
  else if (bottom > last) calls.scrollTop = bottom - calls.clientHeight;
}

/* ---- Choosing a call ---- */

function choose(call) {
  if (!call) return;
  const other = call.trace !== state.trace;
  state.trace = call.trace;
  state.call = call;
  if (other) filter();
  if (other) fillMarks();
  at("mark").value = isMark(call) ? call.i : "";
  follow(call);
  drawSentence();
  reveal();
  drawList();
  drawDetail();
  drawWorld();
  drawSoon();
  if (traces.length > 1) at("trace").value = call.trace.place;
  history.replaceState(null, "", hashOf(call));
}

/** Goes so many calls on among those that the filter shows. */
function step(by) {
  if (!state.list.length) return;
  let place = state.list.indexOf(state.call);
  if (place < 0) {
    const next = state.list.findIndex((call) => state.call && call.i > state.call.i);
    place = next < 0 ? state.list.length - (by > 0 ? 1 : 0) : next - (by > 0 ? 1 : 0);
  }
  choose(state.list[Math.min(Math.max(place + by, 0), state.list.length - 1)]);
}

/** Goes to the next call of the same lane, or to the one before. */
function stepInLane(by) {
  const same = state.list.filter((call) => call.lane === state.call.lane);
  choose(same[same.indexOf(state.call) + by]);
}

/** Goes to the next or the previous of the calls that fit and that the filter shows; says so if there is none. */
function stepTo(by, fits, what) {
  const next = (all) => (by > 0 ? all : [...all].reverse()).find((call) => (call.i - state.call.i) * by > 0 && fits(call));
  const found = next(state.list);
  if (found) return choose(found);
  const way = by > 0 ? "after" : "before";
  note(next(state.trace.calls) ? `The filter hides the ${what} ${way} this call. Esc clears the search; "Show all calls" clears the whole filter.` : `No ${what} lies ${way} this call.`);
}

/** A word about a key, until another call is chosen. */
function note(words) {
  for (const old of at("said").querySelectorAll(".note")) old.remove();
  at("said").prepend(make("p", { class: "note" }, words));
  at("said").scrollTop = 0;
}

const isMark = (call) => call.trace.marks.some((mark) => mark.call === call.i);
const isRefused = (call) => call.outcome > 0 && call.outcome < 4;
const endedIt = (call) => call.outcome === 3;

/** The part of an address that leads to a call. */
const hashOf = (call) => `#${traces.length > 1 ? `${call.trace.place + 1}.` : ""}${call.number}`;

function fromHash() {
  const [first, second] = location.hash.slice(1).split(".");
  const trace = second === undefined ? traces[0] : traces[first - 1];
  return trace && trace.calls.find((call) => `${call.number}` === (second ?? first));
}

/* ---- The step in a sentence ---- */

function drawSentence() {
  const call = state.call;
  const place = state.list.indexOf(call);
  const line = call.line.number ? ` \u00b7 line ${call.line.number} of the plan` : "";
  const name = traces.length > 1 ? `${call.trace.name} \u00b7 ` : "";
  const { calls: all } = call.trace;
  const last = all[all.length - 1].number;
  const shown = state.list.length === all.length ? "" : place < 0 ? " \u00b7 the filter hides it" : ` \u00b7 row ${place + 1} of ${state.list.length} that the filter shows`;
  const ends = [
    "", `It was ${OUTCOMES[1].words} (${call.result}): ${sentence(call.reason)}`, `It was ${OUTCOMES[2].words} (${call.result}).`,
    `It was ${OUTCOMES[3].words} (${call.result}).`, "It had not returned.",
  ];
  const changes = call.changes.filter((change) => change.words);
  const marks = call.trace.marks.filter((mark) => mark.call === call.i);
  const says = call.why || (data.book[call.name] || { text: "" }).text;
  put(at("said"),
    make("p", { class: "where" }, `${name}Call ${call.number} (the last is ${last})${shown} \u00b7 ${laneName(call)}`, make("span", {}, `${line} \u00b7 ${call.step}`)),
    make("p", {}, make("b", { class: "mono" }, call.name), says ? ": " : "", ...coded(sentence(says)), " ", ends[call.outcome]),
    ...marks.map((mark) => make("p", { class: "milestone" }, make("b", {}, `\u25be ${mark.name}. `), ...coded(mark.about))),
  );
  put(at("changes"), ...changes.map((change) => make("p", { class: `change ${change.op % 2 ? "gone" : "set"}` }, change.words)));
  at("changes").hidden = !changes.length;
}

/** A text with a full stop. */
function sentence(words) {
  return words && !/[.!?]$/.test(words) ? `${words}.` : words;
}

/* ---- All about a call ---- */

function drawDetail() {
  const call = state.call;
  const outcome = OUTCOMES[call.outcome];
  put(at("detail"),
    make("h2", {}, make("span", { class: "mono" }, call.name), " ", make("span", { class: `pill ${outcome.name}` }, `${outcome.sign} ${outcome.words}`)),
    make("p", { class: "why" }, ...coded(sentence(call.why))),
    call.reason ? make("p", { class: "expected" }, `Expected: ${call.reason}.`) : "",
    call.hint ? make("p", { class: "try" }, make("b", {}, "Try: "), ...coded(sentence(call.hint))) : "",
    make("pre", {}, ...parted(`${inFull(call)} = ${answer(call)}`)),
    argumentsOf(call),
    ...waitsOf(call),
    ...planOf(call),
    ...meaningOf(call),
    make("h3", {}, "Source"), make("code", {}, call.source || "not known"),
  );
  at("detail").scrollTop = 0;
}

function argumentsOf(call) {
  const names = ((data.book[call.name] || {}).args || "").split(", ");
  const cells = call.args.map((arg, i) => [names[i] || `argument ${i + 1}`, arg]);
  cells.push(["result", answer(call)], ["time", `${duration(call.start - call.trace.zero)} after ${state.zero && state.zero !== "*" ? state.zero : "the first call"}; ${took(call)}`]);
  return make("table", {}, ...cells.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", { class: "mono" }, ...parted(value)))));
}

function waitsOf(call) {
  const link = (i) => {
    const other = call.trace.calls[i];
    return make("a", { href: hashOf(other) }, `${other.number}, ${laneName(other)}: ${other.name}`);
  };
  const line = (words, list) => (list.length ? [make("p", {}, `${words} `, ...list.flatMap((i, n) => (n ? [", ", link(i)] : [link(i)])))] : []);
  const all = [...line(call.birth ? "This process was made by" : "It waited for", call.after), ...line("Others waited for this:", call.before)];
  return all.length ? [make("h3", {}, "Between the lanes"), ...all] : [];
}

function planOf(call) {
  const { number, words, stage, pointer, mark, ofExec } = call.line;
  const parts = [];
  if (number) {
    parts.push(make("h3", {}, `Line ${number} of the plan`));
    if (words) parts.push(make("p", {}, sentence(words)));
    if (stage) parts.push(make("p", { class: "where" }, ...coded(stage)));
    if (mark) parts.push(make("p", { class: "where" }, `Decided by ${mark}.`));
  }
  if (!pointer) return parts;
  parts.push(make("h3", {}, ofExec ? `Asked for by ${pointer} of the process that exec was given` : `Asked for by config.json ${pointer}`));
  const piece = call.trace.config.get(pointer);
  if (piece) parts.push(make("pre", {}, piece));
  else if (!ofExec && call.trace.config.size) parts.push(make("p", { class: "none" }, "config.json has nothing at this place."));
  else if (!ofExec) parts.push(make("p", { class: "none" }, "The page does not have this piece: config.json was changed or removed after the run, before the page was made. Run the container again, and make the page: it keeps what the configuration says."));
  const about = data.book[pointer];
  if (about) parts.push(make("p", {}, ...coded(about.text)));
  return parts;
}

/** A text that may break after a stroke between flags or in a path. */
const parted = (words) => words.split(/(?<=[|/])/).flatMap((part) => [part, make("wbr")]);

/** A text whose parts between backquotes are code. */
function coded(words) {
  return words.split("`").map((part, i) => (i % 2 ? make("code", {}, part) : part));
}

/** What the call and its words mean. */
function meaningOf(call) {
  const words = new Set([call.name]);
  for (const part of call.args) for (const word of part.split('"').filter((_, i) => i % 2 === 0).join(" ").match(/[A-Z_][A-Z0-9_]+/g) || []) words.add(word);
  for (const word of call.result.match(/\bE[A-Z0-9]+\b/g) || []) words.add(word);
  const known = [...words].filter((word) => Object.hasOwn(data.book, word));
  if (!known.length) return [];
  const entries = known.flatMap((word) => {
    const entry = data.book[word];
    return [
      make("dt", { class: "mono" }, word), make("dd", {}, ...coded(entry.text)),
      entry.here ? make("dd", {}, make("b", {}, "Here: "), ...coded(entry.here)) : "",
      entry.without && (!entry.steps || entry.steps.includes(call.step)) ? make("dd", {}, make("b", {}, "Without it: "), ...coded(entry.without)) : "",
    ];
  });
  return [make("h3", {}, "What the words mean"), make("dl", { class: "words" }, ...entries)];
}

/** Leads to what the page says about the chosen call. */
function read() {
  at("detail").focus();
  if (matchMedia("(max-width: 1000px)").matches) at("detail").scrollIntoView({ block: "nearest" });
}

/* ---- The world ---- */

/** What each holder has after a call: its sections, each with its keys and values. */
function worldAfter(call) {
  const trace = call.trace;
  if (!trace.world || trace.world.next > 0 && trace.changes[trace.world.next - 1].call > call.i) trace.world = { next: 0, holders: new Map() };
  const world = trace.world;
  while (world.next < trace.changes.length && trace.changes[world.next].call <= call.i) apply(world.holders, trace.changes[world.next++]);
  return world.holders;
}

/** 0: a key has a value. 1: it has none any more. 2: a holder begins as a copy of another. 3: a holder has ended. 4: there is only
 *  something to tell. */
function apply(holders, change) {
  if (change.op === 4) return holders;
  if (change.op === 2) {
    const old = holders.get(change.key) || new Map();
    return holders.set(change.holder, new Map([...old].map(([name, section]) => [name, new Map(section)])));
  }
  if (change.op === 3) return holders.delete(change.holder);
  if (!holders.has(change.holder)) holders.set(change.holder, new Map());
  const sections = holders.get(change.holder);
  if (!sections.has(change.section)) sections.set(change.section, new Map());
  const section = sections.get(change.section);
  if (change.op === 1) return section.delete(change.key);
  return section.set(change.key, { value: change.value, parent: change.parent });
}

function drawWorld() {
  const call = state.call;
  const holders = worldAfter(call);
  const own = holders.get(`${call.pid}`) || new Map();
  const fresh = new Set(call.changes.filter((change) => change.words).map((change) => `${change.holder}|${change.section}|${change.key}`));
  put(at("world-title"), `The world after this call: ${laneName(call)}, process ${call.pid}`);
  put(at("facts-of-world"), ...Object.entries(SECTIONS).map(([name, title]) => {
    if (name === "namespaces") return folder(name, title, namespaces(call, holders, fresh));
    if (name === "mounts") return mountsOf(own, holders, fresh, title);
    if (name === "cgroup") return cgroups(own, holders, fresh, title);
    const section = own.get(name);
    if (!section || !section.size) return null;
    return folder(name, name === "descriptors" ? `${title} (${section.size})` : title, pairs(section, `${call.pid}|${name}`, fresh));
  }));
  revealNew();
}

/** Scrolls the world to what is new in it. */
function revealNew() {
  const [first] = at("world").getElementsByClassName("is-new");
  if (!first) return;
  const [place, frame] = [first.getBoundingClientRect(), at("world").getBoundingClientRect()];
  if (place.top < frame.top || place.bottom > frame.bottom) at("world").scrollTop += place.top - frame.top - frame.height / 3;
}

const sectionOf = (holders, holder, name) => (holders.get(holder) || new Map()).get(name) || new Map();

/** The mounts of the namespace that a process is in. */
function mountsOf(own, holders, fresh, title) {
  const space = ((own.get("spaces") || new Map()).get("mnt") || {}).value;
  const all = [...sectionOf(holders, "mounts", "mounts")].map(([key, { value, parent }]) => {
    const [of, place, about] = value.split("\n");
    return [key, { of, place, about, parent }];
  });
  const mounts = new Map(all.filter(([, mount]) => mount.of === space));
  return folder("mounts", `${title} (${mounts.size})`, mountTree(mounts, fresh));
}

/** The cgroup of a process, and what was written to files of all cgroups. */
function cgroups(own, holders, fresh, title) {
  const section = new Map([...(own.get("cgroup") || []), ...sectionOf(holders, "cgroups", "cgroup")]);
  if (!section.size) return null;
  const places = new Set([...fresh].map((place) => place.replace(/^.*\|cgroup\|/, "cgroup|")));
  return folder("cgroup", title, pairs(section, "cgroup", places));
}

function folder(name, title, content) {
  const opened = state.opened.get(name) ?? true;
  const toggle = (event) => state.opened.set(name, event.target.open);
  return make("details", { open: opened, on: { toggle } }, make("summary", {}, title), content);
}

function pairs(section, place, fresh) {
  const order = [...section].sort(([a], [b]) => a - b || 0);
  const line = ([key, { value }]) => make("tr", {}, make("th", { scope: "row" }, key),
    make("td", {}, make("span", { class: fresh.has(`${place}|${key}`) ? "is-new" : "" }, value)));
  return make("table", {}, ...order.map(line));
}

/** The processes whose namespaces stand beside each other: the first, that of the call, and the newest. */
function compared(call, holders) {
  const pids = [...holders.keys()].filter((holder) => holders.get(holder).has("namespaces"));
  const others = pids.filter((pid) => pid !== pids[0] && pid !== `${call.pid}`);
  const wanted = [pids[0], `${call.pid}`, ...others.slice(pids[0] === `${call.pid}` ? -2 : -1)];
  return pids.filter((pid) => wanted.includes(pid));
}

/** A table: a row a kind of namespace, a column a process. */
function namespaces(call, holders, fresh) {
  const shown = compared(call, holders);
  const kinds = [...new Set(shown.flatMap((pid) => [...holders.get(pid).get("namespaces").keys()]))];
  const title = (pid) => {
    const lane = call.trace.calls.find((one) => `${one.pid}` === pid);
    return lane ? `${laneName(lane)} ${pid}` : pid;
  };
  const cell = (pid, kind) => {
    const known = holders.get(pid).get("namespaces").get(kind);
    const number = (sectionOf(holders, pid, "spaces").get(kind) || {}).value;
    const settings = [...sectionOf(holders, `namespace ${number}`, "settings")];
    return make("td", {},
      make("span", { class: `${fresh.has(`${pid}|namespaces|${kind}`) ? "is-new" : ""} ${known && known.value !== HOSTS ? "own" : ""}` }, known ? ofWhom(known.value, pid) : ""),
      ...settings.map(([key, { value }]) => make("div", { class: "about" },
        make("span", { class: fresh.has(`namespace ${number}|settings|${key}`) ? "is-new" : "" }, `${key} ${value}`))));
  };
  if (!kinds.length) return make("p", { class: "none" }, "Nothing is known of them yet.");
  return make("table", {},
    make("tr", {}, make("td", {}), ...shown.map((pid) => make("th", { scope: "col" }, title(pid)))),
    ...kinds.map((kind) => make("tr", {}, make("th", { scope: "row" }, kind), ...shown.map((pid) => cell(pid, kind)))));
}

/** A namespace, as the column of a process names it: its own, or that of another process. */
function ofWhom(words, pid) {
  return words.replace(/^made by process (\d+)$/, (_, maker) => (maker === pid ? "its own" : `that of ${maker}`));
}

function mountTree(mounts, fresh) {
  const below = new Map();
  for (const [key, mount] of mounts) {
    const parent = mounts.has(mount.parent) && mount.parent !== key ? mount.parent : "";
    below.set(parent, [...(below.get(parent) || []), key]);
  }
  const path = (above, place) => `${above === "/" ? "" : above}${place || ""}` || "/";
  const branch = (parent, above, deep) => make("ul", { class: deep ? "tree" : "tree top" }, ...(below.get(parent) || []).map((key) => leaf(key, above, deep)));
  const leaf = (key, above, deep) => {
    const mount = mounts.get(key);
    const here = path(above, mount.place);
    return make("li", {},
      make("span", { class: fresh.has(`mounts|mounts|${key}`) ? "is-new mono" : "mono" }, here), " ",
      make("span", { class: "about" }, mount.about),
      below.has(key) && deep < 20 ? branch(key, here, deep + 1) : "");
  };
  return below.size ? branch("", "/", 0) : make("p", { class: "none" }, "No call has changed it yet.");
}

/* ---- Search and filter ---- */

function filter() {
  const wanted = {
    lane: at("by-lane").value, outcome: at("by-outcome").value, step: at("by-step").value, name: at("by-name").value,
    words: at("search").value.toLowerCase().split(/\s+/).filter(Boolean), asked: at("asked").checked,
  };
  for (const trace of traces) for (const call of trace.calls) call.shown = fits(call, wanted);
  state.list = state.trace.calls.filter((call) => call.shown);
  const all = state.trace.calls.length;
  const some = wanted.asked || wanted.lane || wanted.outcome || wanted.step || wanted.name || wanted.words.length;
  at("found").textContent = some ? `${state.list.length} of ${all} calls` : "";
  at("clear").hidden = !some;
  if (state.call) drawSentence();
  drawList();
  drawSoon();
}

/** Enter in the field leads to the first call of that name; else to the first in which the words stand. */
function leadToFound(event) {
  event.preventDefault();
  const words = at("search").value.toLowerCase().trim();
  const named = state.list.filter((call) => call.name.includes(words));
  choose(named.find((call) => call.name.startsWith(words)) || named[0] || state.list[0]);
  calls.focus();
}

function fits(call, wanted) {
  if (wanted.asked && !call.asked) return false;
  if (wanted.lane && laneName(call) !== wanted.lane) return false;
  if (wanted.outcome && `${call.outcome}` !== wanted.outcome) return false;
  if (wanted.step && call.step !== wanted.step) return false;
  if (wanted.name && call.name !== wanted.name) return false;
  if (!wanted.words.length) return true;
  call.hay = call.hay || [call.number, laneName(call), inFull(call), call.result, call.why, call.reason, call.line.words, call.line.stage, call.line.pointer, call.step, call.source].join(" ").toLowerCase();
  return wanted.words.every((word) => call.hay.includes(word));
}

/** Fills a choice with all values that calls have, and how often. */
function fill(id, all, valueOf, wordsOf, sorted) {
  const counts = new Map();
  for (const trace of traces) for (const call of trace.calls) counts.set(valueOf(call), (counts.get(valueOf(call)) || 0) + 1);
  const values = [...counts.keys()];
  if (sorted) values.sort();
  put(at(id), make("option", { value: "" }, all), ...values.map((value) => make("option", { value }, `${wordsOf(value)} (${counts.get(value)})`)));
}

/* ---- Frame ---- */

function drawFacts() {
  const all = traces.flatMap((trace) => trace.calls);
  const refused = all.filter(isRefused);
  const expected = refused.filter((call) => call.outcome === 1).length;
  const [first] = traces;
  const when = traces.length === 1 ? `${first.when}: ` : "";
  const took = traces.map((trace) => duration(trace.took)).join(" and ");
  const end = !refused.length ? "none refused" : expected === refused.length ? `${expected} refused as expected` : `${refused.length} refused, ${expected} as expected`;
  const gone = traces.reduce((sum, trace) => sum + trace.missing, 0);
  const program = traces.map((trace) => trace.end).filter(Boolean).join(" and ");
  at("facts").textContent = `${when}${all.length} calls, ${took}, ${end}${program ? `; the program: ${program}` : ""}${gone ? `; ${gone} more calls are not on record` : ""}`;
}

/** What commands have found out and no call says; and the calls that ended a command. */
function drawRemarks() {
  const name = (trace) => (traces.length > 1 ? `${trace.name}: ` : "");
  const link = (call) => make("a", { href: hashOf(call) }, `call ${call.number}, ${call.name}: ${call.result}`);
  put(at("remarks"), ...traces.flatMap((trace) => [
    ...trace.remarks.map((words) => make("p", {}, name(trace), words)),
    ...trace.calls.filter(endedIt).map((call) => make("p", { class: "ending" }, name(trace), "This ended the command: ", link(call),
      ...(call.hint ? [". ", make("b", {}, "Try: "), ...coded(sentence(call.hint))] : []))),
  ]));
}

/** The legend draws each kind of bar as the axis does. */
function drawLegend() {
  const used = OUTCOMES.filter((_, i) => i < 2 || traces.some((trace) => trace.calls.some((call) => call.outcome === i)));
  const item = (sign, name, words) => make("li", {}, make("span", { class: `sign ${name}` }, sign), words);
  put(at("legend"),
    ...used.map((outcome) => item(outcome.sign, outcome.name, outcome.words)),
    make("li", {}, make("span", { class: "sign ok" }, "\u25ad"), "waiting"),
    make("li", {}, make("span", { class: "sign", style: "color:var(--wait)" }, "\u2193"), "a lane waited for another"),
    traces.some((trace) => trace.marks.length) ? make("li", {}, make("span", { class: "sign", style: "color:var(--wait)" }, "\u25be"), "milestone") : "");
}

function fillChoices() {
  fill("by-lane", "all", laneName, (name) => name, false);
  fill("by-outcome", "all", (call) => `${call.outcome}`, (value) => OUTCOMES[value].words, true);
  fill("by-step", "all", (call) => call.step, (words) => words.replace(/^lifecycle /, ""), false);
  fill("by-name", "all", (call) => call.name, (name) => name, true);
  put(at("trace"), ...traces.map((trace, i) => make("option", { value: i }, trace.name)));
  at("trace-label").hidden = at("zero-label").hidden = traces.length < 2;
  fillMarks();
  at("asked").checked = data.asked !== "";
  at("asked-label").hidden = !data.asked;
  put(at("asked-words"), data.asked);
  put(at("zero"),
    make("option", { value: "" }, "the first call"),
    ...commonMarks().map((name) => make("option", { value: name }, name)),
    commonMarks().length > 1 ? make("option", { value: "*" }, "all milestones") : "");
  state.zero = at("zero").value = traces.length < 2 ? "" : commonMarks().length > 1 ? "*" : commonMarks()[0] || "";
}

/** The milestones of the chosen trace. */
function fillMarks() {
  const { marks, calls: all } = state.trace;
  at("mark-label").hidden = !marks.length;
  put(at("mark"), make("option", { value: "" }, "a milestone"), ...marks.map((mark) => make("option", { value: mark.call }, `${all[mark.call].number}: ${mark.name}`)));
}

function theme() {
  const now = THEMES.indexOf(document.documentElement.dataset.theme || "system");
  setTheme(THEMES[(now + 1) % THEMES.length]);
}

/** For a class: larger letters, and nothing but the axis, the step, the call and the world. */
function lecture() {
  const on = document.body.classList.toggle("lecture");
  at("lecture").setAttribute("aria-pressed", `${on}`);
  if (!at("help").hidden) help();
  at("next").focus();
}

function setTheme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  at("theme").textContent = `Theme: ${name}`;
  readColors();
  drawSoon();
}

/** On paper each call is a row of a table. */
function beforePrint() {
  const head = ["", "Lane", "Call", "Result", "Why"].map((name) => make("th", { scope: "col" }, name));
  const line = (call) => make("tr", {},
    ...[`${call.number}`, laneName(call), inFull(call).slice(0, 300), `${OUTCOMES[call.outcome].sign} ${answer(call)}`, call.why].map((words) => make("td", {}, words)));
  put(at("paper"), ...traces.map((trace) => make("table", {},
    make("caption", {}, `${trace.name}, ${trace.when}`), make("thead", {}, make("tr", {}, ...head)),
    make("tbody", {}, ...trace.calls.filter((call) => call.shown).map(line)))));
  document.documentElement.dataset.before = document.documentElement.dataset.theme || "system";
  setTheme("light");
  draw();
}

function afterPrint() {
  put(at("paper"));
  setTheme(document.documentElement.dataset.before);
}

/* ---- Keys ---- */

const LIST_KEYS = {
  ArrowDown: () => step(1), ArrowUp: () => step(-1), PageDown: () => step(10), PageUp: () => step(-10),
  Home: () => step(-Infinity), End: () => step(Infinity), Enter: read,
};
const AXIS_KEYS = {
  ArrowLeft: () => pan(-0.1), ArrowRight: () => pan(0.1), ArrowDown: () => step(1), ArrowUp: () => step(-1), Enter: read,
  Home: () => look(state.least, state.least + state.to - state.from), End: () => look(state.most - state.to + state.from, state.most),
};
const KEYS = {
  ArrowRight: (event) => (event.shiftKey ? stepInLane(1) : step(1)), ArrowLeft: (event) => (event.shiftKey ? stepInLane(-1) : step(-1)),
  "+": () => zoomHere(0.6), "=": () => zoomHere(0.6), "-": () => zoomHere(1 / 0.6), 0: showAll,
  m: () => stepTo(1, isMark, "milestone"), M: () => stepTo(-1, isMark, "milestone"),
  r: () => stepTo(1, isRefused, "refused call"), R: () => stepTo(-1, isRefused, "refused call"),
  l: lecture, "/": () => at("search").focus(), "?": help, Escape: escape,
};

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest("input, select");
  if (field && event.key !== "Escape") return;
  const own = event.target === canvas ? AXIS_KEYS : event.target === calls ? LIST_KEYS : {};
  const act = own[event.key] || KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act(event);
}

/** Takes back one thing: the panel of keys, else the words of the search; else leads to the list. */
function escape() {
  if (!at("help").hidden) return help();
  if (!at("search").value) return calls.focus();
  at("search").value = "";
  filter();
  return reveal();
}

function help() {
  const hidden = !at("help").hidden;
  at("help").hidden = hidden;
  at("help-button").setAttribute("aria-expanded", `${!hidden}`);
}

/* ---- Begin ---- */

function listen() {
  document.addEventListener("keydown", key);
  canvas.addEventListener("pointerdown", pointerDown);
  canvas.addEventListener("pointermove", pointerMove);
  canvas.addEventListener("pointerup", pointerUp);
  canvas.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("wheel", wheel, { passive: false });
  canvas.addEventListener("dblclick", doubleClick);
  calls.addEventListener("scroll", drawList);
  for (const id of ["by-lane", "by-outcome", "by-step", "by-name", "search", "asked"]) at(id).addEventListener("input", filter);
  at("filters").addEventListener("submit", leadToFound);
  at("filters").addEventListener("reset", () => setTimeout(filter));
  at("scale").addEventListener("input", () => { state.scale = at("scale").value; rescale(); if (state.call) drawDetail(); });
  at("mark").addEventListener("input", () => { if (at("mark").value) choose(state.trace.calls[at("mark").value]); });
  at("zero").addEventListener("input", () => { state.zero = at("zero").value; rescale(); if (state.call) drawDetail(); });
  at("trace").addEventListener("input", () => choose(traces[at("trace").value].calls[0]));
  at("zoom-in").addEventListener("click", () => zoomHere(0.6));
  at("zoom-out").addEventListener("click", () => zoomHere(1 / 0.6));
  at("zoom-all").addEventListener("click", showAll);
  at("before").addEventListener("click", () => step(-1));
  at("next").addEventListener("click", () => step(1));
  at("theme").addEventListener("click", theme);
  at("lecture").addEventListener("click", lecture);
  at("help-button").addEventListener("click", help);
  addEventListener("beforeprint", beforePrint);
  addEventListener("afterprint", afterPrint);
  addEventListener("hashchange", () => choose(fromHash()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColors(); drawSoon(); });
  new ResizeObserver(layOut).observe(at("stage"));
  new ResizeObserver(() => { reveal(); drawList(); }).observe(calls);
}

function begin() {
  drawFacts();
  drawRemarks();
  drawLegend();
  fillChoices();
  listen();
  layOut();
  rescale();
  filter();
  choose(fromHash() || state.list.find(endedIt) || state.list[0] || state.trace.calls[0]);
}

begin();
