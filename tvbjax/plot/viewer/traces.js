// The linked panel: every region's trace faint, the chosen ones in colour, a cursor at the time shown.

const ROOM = { left: 62, right: 16, top: 16, bottom: 40 };

// About `count` round numbers between two values.
function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((part) => part * power >= raw * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found.map((value) => (Math.abs(value) < 1e-9 * step ? 0 : value));
}

// A number in as few digits as tell it from its neighbours, `spread` apart.
function said(value, spread) {
  if (Number.isNaN(value)) return "no value";
  const most = Math.max(Math.abs(value), spread);
  if (most !== 0 && (most < 1e-3 || most >= 1e6)) return value.toExponential(2).replace(/-/g, "\u2212");
  const digits = Math.max(0, Math.min(8, 2 - Math.floor(Math.log10(spread || most || 1))));
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "\u2212");
}

// The least and the greatest value; null where there is none.
function ends(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

function regionTrace(data, variable, region) {
  return Float64Array.from({ length: data.samples }, (_, t) => regionValue(data, variable, t, region));
}

function vertexTrace(data, variable, vertex) {
  return Float64Array.from({ length: data.samples }, (_, t) => vertexValue(data, variable, t, vertex));
}

function createTraces(canvas, data) {
  const panel = { canvas, data, times: data.time.values, all: [], span: [0, 1], faint: document.createElement("canvas") };
  const many = panel.times.length > 1;
  panel.from = panel.times[0];
  panel.to = many ? panel.times[panel.times.length - 1] : panel.from + 1;
  return panel;
}

function setVariable(panel, variable) {
  panel.variable = variable;
  panel.all = panel.data.labels.map((_, region) => regionTrace(panel.data, variable, region));
  panel.own = panel.all.map(ends).filter((pair) => pair).flat();
  panel.stale = true;
}

function spanOf(panel, chosen) {
  const single = chosen.filter((one) => one.vertex >= 0).map((one) => ends(one.trace) || []);
  const [low, high] = ends([...panel.own, ...single.flat()]) || [0, 1];
  const room = 0.05 * (high - low) || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

function place(panel) {
  const width = panel.canvas.clientWidth, height = panel.canvas.clientHeight;
  const [low, high] = panel.span, wide = width - ROOM.left - ROOM.right, tall = height - ROOM.top - ROOM.bottom;
  return {
    width, height,
    x: (time) => ROOM.left + (wide * (time - panel.from)) / (panel.to - panel.from),
    y: (value) => ROOM.top + tall * (1 - (value - low) / (high - low)),
    time: (x) => panel.from + ((x - ROOM.left) / wide) * (panel.to - panel.from),
  };
}

function line(context, panel, at, trace) {
  context.beginPath();
  let drawn = false;
  for (let t = 0; t < trace.length; t++) {
    if (Number.isNaN(trace[t])) { drawn = false; continue; }
    const x = at.x(panel.times[t]), y = at.y(trace[t]);
    if (drawn) context.lineTo(x, y); else context.moveTo(x, y);
    drawn = true;
  }
  context.stroke();
}

function fit(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

function drawAxes(context, panel, at, style) {
  const { unit, name } = panel.variable, seconds = panel.data.time.unit === "ms" && panel.to - panel.from >= 10000;
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = style.quiet;
  context.strokeStyle = style.line;
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  const [low, high] = panel.span, spread = (high - low) / 5;
  for (const value of ticks(low, high, Math.max(2, at.height / 70))) {
    context.beginPath();
    context.moveTo(ROOM.left, at.y(value));
    context.lineTo(at.width - ROOM.right, at.y(value));
    context.stroke();
    context.fillText(short(value, spread), ROOM.left - 8, at.y(value));
  }
  context.textAlign = "center";
  const scale = seconds ? 1000 : 1;
  for (const time of ticks(panel.from / scale, panel.to / scale, Math.max(2, at.width / 64))) {
    context.fillText(short(time, time), at.x(time * scale), at.height - ROOM.bottom + 14);
  }
  const shown = seconds ? "s" : panel.data.time.unit;
  context.fillText(shown ? `time (${shown})` : "sample", (ROOM.left + at.width - ROOM.right) / 2, at.height - 10);
  context.save();
  context.translate(12, (ROOM.top + at.height - ROOM.bottom) / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(unit ? `${name} (${unit})` : name, 0, 0);
  context.restore();
}

function short(value, spread) {
  const most = Math.max(Math.abs(value), Math.abs(spread));
  const text = most !== 0 && (most < 1e-3 || most >= 1e5) ? value.toExponential(1) : String(Number(value.toPrecision(6)));
  return text.replace("-", "\u2212");
}

// Axes and faint traces are drawn again only when they change; the rest at every step.
function drawFaint(panel, at, style) {
  const context = fit(panel.faint, at.width, at.height);
  drawAxes(context, panel, at, style);
  context.strokeStyle = style.faint;
  for (const trace of panel.all) line(context, panel, at, trace);
  panel.stale = false;
}

function drawTraces(panel, t, chosen, hovered, style) {
  const span = spanOf(panel, chosen);
  if (span.join() !== panel.span.join()) Object.assign(panel, { span, stale: true });
  const at = place(panel), context = fit(panel.canvas, at.width, at.height);
  if (panel.stale || panel.faint.width !== panel.canvas.width || panel.faint.height !== panel.canvas.height) drawFaint(panel, at, style);
  context.drawImage(panel.faint, 0, 0, at.width, at.height);
  context.lineJoin = "round";
  const x = at.x(panel.times[t]);
  context.strokeStyle = style.quiet;
  context.beginPath();
  context.moveTo(x, ROOM.top);
  context.lineTo(x, at.height - ROOM.bottom);
  context.stroke();
  for (const one of [...(hovered ? [{ ...hovered, colour: style.ink, thin: true }] : []), ...chosen]) {
    context.strokeStyle = context.fillStyle = one.colour;
    context.lineWidth = one.thin ? 1 : 1.8;
    line(context, panel, at, one.trace);
    if (Number.isNaN(one.trace[t])) continue;
    context.beginPath();
    context.arc(x, at.y(one.trace[t]), 4, 0, 2 * Math.PI);
    context.fill();
    if (one.label) drawName(context, at, one, x, at.y(one.trace[t]), style);
  }
}

function drawName(context, at, one, x, y, style) {
  context.font = "600 12px system-ui, sans-serif";
  const left = x + 10 + context.measureText(one.label).width > at.width;
  context.textAlign = left ? "right" : "left";
  context.textBaseline = "bottom";
  context.lineWidth = 3;
  context.strokeStyle = style.panel;
  context.strokeText(one.label, x + (left ? -9 : 9), y - 4);
  context.fillText(one.label, x + (left ? -9 : 9), y - 4);
}

function sampleAt(panel, x) {
  const time = place(panel).time(x), times = panel.times;
  let low = 0, high = times.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle; else high = middle;
  }
  return Math.abs(times[low] - time) <= Math.abs(times[high] - time) ? low : high;
}

// The region whose trace passes within 8 pixels of a point, or -1.
function traceAt(panel, x, y) {
  const at = place(panel), t = sampleAt(panel, x);
  let found = -1, least = 8;
  panel.all.forEach((trace, region) => {
    const away = Math.abs(at.y(trace[t]) - y);
    if (away < least) { least = away; found = region; }
  });
  return found;
}
