// What the page does: one state, drawn when it changes.

const $ = (id) => document.getElementById(id);
const data = readData(), mesh = buildMesh(data), canvas = $("brain");
const panel = createTraces($("traces"), data), camera = newCamera(data.frame);
const state = {
  t: 0, variable: data.variables[0], chosen: [], hovered: null, playing: false,
  opacity: data.opacity, contrast: 0, sides: ["left", "right"], due: false, since: 0,
};
let scene = null, paint = new Float32Array(mesh.positions.length);

function later() {
  if (state.due) return;
  state.due = true;
  requestAnimationFrame((now) => { state.due = false; step(now); render(); });
}

function style() {
  const computed = getComputedStyle(document.documentElement);
  return Object.fromEntries(["ink", "quiet", "line", "faint", "none", "panel"].map((name) => [name, computed.getPropertyValue(`--${name}`).trim()]));
}

const rgb = (hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16) / 255);

// A table of 256 colours between anchors at equal distances.
function colourTable(anchors) {
  const table = new Uint8Array(4 * 256).fill(255), parts = anchors.map(rgb);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (parts.length - 1), below = Math.min(Math.floor(place), parts.length - 2);
    for (let k = 0; k < 3; k++) table[4 * i + k] = 255 * (parts[below][k] + (place - below) * (parts[below + 1][k] - parts[below][k]));
  }
  return table;
}

// The variable's own, narrowed about their middle by the contrast, up to twenty times.
function limits() {
  const [low, high] = state.variable.limits, middle = (low + high) / 2, half = (high - low) / 2 / 20 ** state.contrast;
  return state.contrast > 0 ? [middle - half, middle + half] : [low, high];
}

function level(value) {
  const [low, high] = limits();
  return high > low ? Math.max(0, Math.min(1, (value - low) / (high - low))) : 0.5;
}

// Value times presence, presence, chosen: for every vertex, looked up by its region or its own.
function repaint() {
  const regions = data.labels.map((_, region) => regionValue(data, state.variable, state.t, region));
  const owned = new Set(state.chosen.filter((one) => one.vertex < 0).map((one) => one.region));
  const single = new Set(state.chosen.filter((one) => one.vertex >= 0).map((one) => one.vertex));
  for (let vertex = 0; vertex < mesh.owners.length; vertex++) {
    const owner = mesh.owners[vertex], own = state.variable.vertices && vertex < mesh.cortex;
    const value = own ? vertexValue(data, state.variable, state.t, vertex) : owner < 0 ? NaN : regions[owner];
    const present = Number.isNaN(value) ? 0 : 1;
    paint[3 * vertex] = present ? level(value) : 0;
    paint[3 * vertex + 1] = present;
    paint[3 * vertex + 2] = owned.has(owner) || single.has(vertex) ? 1 : 0;
  }
  scene.paint(paint);
}

function step(now) {
  if (!state.playing) return;
  const speed = Number($("speed").value) / 1000, whole = state.since ? Math.floor((now - state.since) * speed) : 0;
  if (whole) setTime((state.t + whole) % data.samples);
  state.since = state.since ? state.since + whole / speed : now;
  later();
}

function render() {
  const look = style();
  const values = traced(state.chosen);
  if (scene) {
    const ratio = window.devicePixelRatio || 1, width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    repaint();
    scene.draw(camera, { none: rgb(look.none), plain: rgb(look.ink), opacity: state.opacity, sides: state.sides });
    drawCompass();
  }
  drawTraces(panel, state.t, values, state.hovered === null ? null : { trace: panel.all[state.hovered], label: data.labels[state.hovered] }, look);
  listChosen();
}

// Traces of what is chosen, kept until the variable changes.
function traced(chosen) {
  for (const one of chosen) {
    if (one.of === state.variable) continue;
    one.of = state.variable;
    one.trace = one.vertex >= 0 ? vertexTrace(data, state.variable, one.vertex) : panel.all[one.region];
  }
  return chosen;
}

function withUnit(value) {
  const [low, high] = state.variable.limits, text = said(value, high - low);
  return state.variable.unit && !Number.isNaN(value) ? `${text} ${state.variable.unit}` : text;
}

// As few as tell all times from one another exactly, four at most.
function decimals(scale) {
  const exact = (digits) => data.time.values.every((time) => Math.abs(Number((time / scale).toFixed(digits)) - time / scale) < 1e-7);
  return [0, 1, 2, 3].find(exact) ?? 4;
}

function timeText() {
  const { values, unit } = data.time, time = values[state.t];
  if (!unit) return `sample ${time}`;
  const seconds = unit === "ms" && panel.to - panel.from >= 10000;
  return seconds ? `${(time / 1000).toFixed(decimals(1000))} s` : `${time.toFixed(decimals(1))} ${unit}`;
}

function setTime(t) {
  state.t = Math.max(0, Math.min(data.samples - 1, t));
  $("time").value = state.t;
  $("time").setAttribute("aria-valuetext", timeText());
  $("now").textContent = timeText();
  later();
}

function play(on) {
  Object.assign(state, { playing: on, since: 0 });
  $("play").classList.toggle("playing", on);
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  later();
}

const nameOf = (one) => (one.vertex >= 0 ? `${data.labels[one.region]}, vertex ${one.vertex}` : data.labels[one.region]);

function choose(region, vertex, more) {
  const same = (one) => one.region === region && one.vertex === vertex;
  const there = state.chosen.some(same);
  const others = more ? state.chosen.filter((one) => !same(one)) : [];
  const free = data.palette.find((colour) => !others.some((one) => one.colour === colour)) || data.palette[0];
  state.chosen = there && more ? others : [...others.slice(-5), { region, vertex, colour: free }];
  $("region").value = state.chosen.length ? String(state.chosen[state.chosen.length - 1].region) : "";
  const values = traced(state.chosen);
  $("said").textContent = values.map((one) => `${nameOf(one)}: ${withUnit(one.trace[state.t])}`).join("; ");
  later();
}

function chooseNone() {
  state.chosen = [];
  $("region").value = "";
  later();
}

// Buttons are made once for a choice; only their values follow the time.
function listChosen() {
  const list = $("chosen"), key = state.chosen.map(nameOf).join("\n");
  if (list.dataset.of !== key) {
    list.dataset.of = key;
    list.replaceChildren(...state.chosen.map((one) => {
      const item = document.createElement("li"), button = document.createElement("button"), dot = document.createElement("i");
      button.type = "button";
      button.title = "Choose it no longer";
      dot.style.background = one.colour;
      button.append(dot, document.createElement("span"));
      button.onclick = () => choose(one.region, one.vertex, true);
      item.append(button);
      return item;
    }));
  }
  list.querySelectorAll("span").forEach((span, i) => {
    span.textContent = `${nameOf(state.chosen[i])}: ${withUnit(state.chosen[i].trace[state.t])}`;
  });
}

function drawCompass() {
  const arms = [["right", 0], ["front", 1], ["up", 2]].map(([name, k]) => {
    const [x, y, z] = camera.rows.map((row) => row[k]);
    return { name, x: 24 * x, y: -24 * y, z };
  });
  $("compass").innerHTML = arms.filter((arm) => Math.hypot(arm.x, arm.y) > 9).map(({ name, x, y }) =>
    `<line x1="0" y1="0" x2="${x}" y2="${y}"/><text x="${x * 1.32}" y="${y * 1.32}">${name}</text>`).join("");
}
