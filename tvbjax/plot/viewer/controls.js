// Controls, pointers and keys; and what the address asks for: #t=500&view=left&region=rV1.

function options(select, pairs) {
  select.replaceChildren(...pairs.map(([value, text]) => new Option(text, value)));
}

function setupChoices() {
  options($("variable"), data.variables.map((variable, i) => [i, variable.name]));
  $("variable-choice").hidden = data.variables.length < 2;
  options($("region"), [["", "none"], ...data.labels.map((label, i) => [i, label])]);
  const speeds = [1, 2, 5, 10, 25, 50, 100, 200, 500];
  options($("speed"), speeds.map((speed) => [speed, `${speed} samples/s`]));
  $("speed").value = speeds.find((speed) => data.samples / speed <= 25) || 500;
  $("time").max = data.samples - 1;
  $("opacity").value = state.opacity;
  $("note").textContent = data.note;
  $("variable").onchange = () => useVariable(Number($("variable").value));
  $("region").onchange = () => ($("region").value === "" ? chooseNone() : choose(Number($("region").value), -1, false));
  $("time").oninput = () => setTime(Number($("time").value));
  $("play").onclick = () => play(!state.playing);
  $("speed").onchange = () => { state.since = 0; };
  $("contrast").oninput = () => { state.contrast = Number($("contrast").value); drawLegend(); later(); };
  $("opacity").oninput = () => { state.opacity = Number($("opacity").value); later(); };
}

function useVariable(number) {
  state.variable = data.variables[number];
  $("variable").value = number;
  setVariable(panel, state.variable);
  const table = colourTable(data.colours[state.variable.diverging ? "diverging" : "sequential"]);
  if (scene) scene.colours(table);
  drawBar(table);
  drawLegend();
  later();
}

function drawBar(table) {
  const context = document.querySelector("#bar canvas").getContext("2d"), image = context.createImageData(1, 256);
  for (let i = 0; i < 256; i++) image.data.set(table.subarray(4 * (255 - i), 4 * (256 - i)), 4 * i);
  context.putImageData(image, 0, 0);
}

function drawLegend() {
  const { name, unit, missing } = state.variable, [low, high] = limits();
  const clipped = state.contrast > 0 ? [true, true] : state.variable.clipped;
  document.querySelector("#legend figcaption").textContent = unit ? `${name} (${unit})` : name;
  const marks = high > low ? [[low, clipped[0] ? "\u2264 " : ""], [(low + high) / 2, ""], [high, clipped[1] ? "\u2265 " : ""]] : [[low, ""]];
  document.querySelector("#bar ol").replaceChildren(...marks.map(([value, sign]) => {
    const item = document.createElement("li");
    item.textContent = sign + short(Number(value.toPrecision(3)), high - low);
    item.style.bottom = `${100 * level(value)}%`;
    return item;
  }));
  $("missing").hidden = !missing;
}

function button(group, text, press) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: text });
  made.onclick = press;
  group.append(made);
  return made;
}

function setupViews() {
  for (const name of Object.keys(VIEWS)) button($("views"), name, () => { look(camera, name); later(); });
  button($("views"), "Reset", () => { Object.assign(camera, newCamera(data.frame)); later(); });
  if (!mesh.groups.left.count || !mesh.groups.right.count) return;
  const sides = { Both: ["left", "right"], "Left only": ["left"], "Right only": ["right"] };
  const made = Object.entries(sides).map(([name, shown]) => button($("sides"), name, () => showSides(shown)));
  function showSides(shown) {
    state.sides = shown;
    made.forEach((one, i) => one.setAttribute("aria-pressed", String(Object.values(sides)[i].join() === shown.join())));
    later();
  }
  showSides(state.sides);
}

function tip(text, x, y) {
  const box = $("tip"), stage = $("stage");
  box.hidden = !text;
  if (!text) return;
  box.textContent = text;
  const left = Math.min(x + 14, stage.clientWidth - box.offsetWidth - 8);
  const above = y + 34 + box.offsetHeight > stage.clientHeight;
  box.style.left = `${Math.max(4, left)}px`;
  box.style.top = `${above ? y - box.offsetHeight - 10 : y + 16}px`;
}

// The region, and where values are the vertices' the vertex, under the pointer; sensors are below 0.
function under(event) {
  const found = pick(mesh, canvas, camera, state, event.offsetX, event.offsetY);
  if (!found) return null;
  const own = state.variable.vertices && found.vertex < mesh.cortex;
  return { region: mesh.owners[found.vertex], vertex: own ? found.vertex : -1 };
}

function hover(event) {
  const found = under(event), region = found && found.region >= 0 ? found.region : null;
  if (region !== state.hovered) { state.hovered = region; later(); }
  if (!found) return tip("");
  if (region === null) return tip(`Sensor ${data.sensors.labels[-1 - found.region]}`, event.offsetX, event.offsetY);
  const value = found.vertex >= 0 ? vertexValue(data, state.variable, state.t, found.vertex) : regionValue(data, state.variable, state.t, region);
  tip(`${nameOf(found)}: ${withUnit(value)}`, event.offsetX, event.offsetY);
}

function setupBrainPointers() {
  const held = new Map();
  let moved = 0, apart = 0;
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, [event.clientX, event.clientY]);
    moved = held.size > 1 ? Infinity : 0;
    apart = 0;
  };
  canvas.onpointermove = (event) => {
    const before = held.get(event.pointerId);
    if (!before) return hover(event);
    tip("");
    const right = event.clientX - before[0], down = event.clientY - before[1];
    held.set(event.pointerId, [event.clientX, event.clientY]);
    moved += Math.abs(right) + Math.abs(down);
    if (held.size > 1) {
      const [one, two] = [...held.values()], now = Math.hypot(one[0] - two[0], one[1] - two[1]);
      if (apart) zoom(camera, now / apart);
      apart = now;
    } else if (event.shiftKey) {
      camera.x += right;
      camera.y += down;
    } else if (moved > 3) orbit(camera, 0.4 * right, 0.4 * down);
    later();
  };
  canvas.onpointerup = canvas.onpointercancel = (event) => {
    const click = held.delete(event.pointerId) && moved <= 3 && event.type === "pointerup", found = click && under(event);
    if (found && found.region >= 0) choose(found.region, found.vertex, event.shiftKey || event.ctrlKey || event.metaKey);
    else if (click && !found) chooseNone();
  };
  canvas.onpointerleave = () => { tip(""); state.hovered = null; later(); };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(camera, Math.exp(-0.0015 * event.deltaY));
    later();
  }, { passive: false });
}

function setupTracePointers() {
  const area = panel.canvas;
  let down = null;
  area.onpointerdown = (event) => {
    area.setPointerCapture(event.pointerId);
    down = event.offsetX;
    setTime(sampleAt(panel, event.offsetX));
  };
  area.onpointermove = (event) => {
    if (down !== null) return setTime(sampleAt(panel, event.offsetX));
    const region = traceAt(panel, event.offsetX, event.offsetY);
    state.hovered = region < 0 ? null : region;
    later();
  };
  area.onpointerup = (event) => {
    const region = Math.abs(event.offsetX - down) < 4 ? traceAt(panel, event.offsetX, event.offsetY) : -1;
    down = null;
    if (region >= 0) choose(region, -1, event.shiftKey || event.ctrlKey || event.metaKey);
  };
  area.onpointercancel = () => { down = null; };
  area.onpointerleave = () => { state.hovered = null; later(); };
}

function setupKeys() {
  const turns = { ArrowLeft: [10, 0], ArrowRight: [-10, 0], ArrowUp: [0, 10], ArrowDown: [0, -10] };
  const views = Object.fromEntries(["Left", "Right", "Top", "Front"].map((name) => [name[0].toLowerCase(), name]));
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (turns[event.key]) orbit(camera, ...turns[event.key].map((part) => -part));
    else if (event.key === "+" || event.key === "=") zoom(camera, 1.15);
    else if (event.key === "-") zoom(camera, 1 / 1.15);
    else if (views[event.key]) look(camera, views[event.key]);
    else if (event.key === "b") look(camera, "Back");
    else return;
    event.preventDefault();
    later();
  });
  document.addEventListener("keydown", (event) => {
    const typing = ["SELECT", "BUTTON"].includes(event.target.tagName);
    if (event.key === " " && !typing) { event.preventDefault(); play(!state.playing); }
    else if (event.key === "<" || event.key === ",") setTime(state.t - 1);
    else if (event.key === ">" || event.key === ".") setTime(state.t + 1);
    else if (event.key === "Escape") chooseNone();
  });
}

function followAddress() {
  const asked = new URLSearchParams(location.hash.slice(1)), opacity = Number(asked.get("opacity"));
  const variable = data.variables.findIndex((one) => one.name === asked.get("variable"));
  const view = Object.keys(VIEWS).find((name) => name.toLowerCase() === asked.get("view"));
  if (variable >= 0) useVariable(variable);
  if (asked.get("t")) setTime(Math.round(Number(asked.get("t"))) || 0);
  if (view) look(camera, view);
  if (opacity > 0 && opacity <= 1) { state.opacity = opacity; $("opacity").value = opacity; }
  asked.getAll("region").map((label) => data.labels.indexOf(label)).filter((region) => region >= 0).forEach((region) => choose(region, -1, true));
  later();
}

function startScene() {
  scene = createScene(canvas, mesh);
  if (scene) return;
  $("unavailable").hidden = false;
  $("unavailable").textContent = "This browser offers no WebGL 2, so the brain cannot be drawn here; the traces beside it work. Another browser, or hardware acceleration switched on, will show it.";
  for (const id of ["views", "sides", "looks", "compass", "brain", "legend"]) $(id).setAttribute("hidden", "");
}

function start() {
  startScene();
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextrestored", () => { scene.restore(); useVariable(data.variables.indexOf(state.variable)); });
  setupChoices();
  setupViews();
  useVariable(0);
  setTime(0);
  setupBrainPointers();
  setupTracePointers();
  setupKeys();
  panel.canvas.setAttribute("aria-label", `Traces of ${data.labels.length} regions over time`);
  new ResizeObserver(later).observe(document.body);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { panel.stale = true; later(); });
  window.addEventListener("hashchange", followAddress);
  followAddress();
  // After the first picture, whose frame was asked for before this one.
  requestAnimationFrame(() => { document.documentElement.dataset.state ||= scene ? "ready" : "without WebGL"; });
}

start();
