// Where one looks from, and what is under a point of the screen.

// Degrees: azimuth from the right towards the front, elevation.
const VIEWS = {
  Left: [180, 0], Right: [0, 0], Top: [-90, 90], Bottom: [90, -90], Front: [90, 0], Back: [-90, 0],
};

function newCamera(frame) {
  return aim({ frame, azimuth: 150, elevation: 22, zoom: 1, x: 0, y: 0, turn: null });
}

// The rows of `turn` are the screen's right, its up, and towards the viewer, in the mesh's own axes.
function aim(camera) {
  const a = (camera.azimuth * Math.PI) / 180, e = (camera.elevation * Math.PI) / 180;
  const rows = [
    [-Math.sin(a), Math.cos(a), 0],
    [-Math.sin(e) * Math.cos(a), -Math.sin(e) * Math.sin(a), Math.cos(e)],
    [Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)],
  ];
  camera.rows = rows;
  camera.turn = rows.flatMap((row) => [0, 1, 2].map((axis) => row.reduce((sum, part, k) => sum + part * camera.frame[k][axis], 0)));
  return camera;
}

function look(camera, name) {
  [camera.azimuth, camera.elevation] = VIEWS[name];
  camera.x = camera.y = 0;
  aim(camera);
}

function orbit(camera, right, down) {
  camera.azimuth -= right;
  camera.elevation = Math.max(-90, Math.min(90, camera.elevation + down));
  aim(camera);
}

function zoom(camera, factor) {
  camera.zoom = Math.max(0.4, Math.min(12, camera.zoom * factor));
}

function inEye(mesh, turn) {
  const { positions, centre } = mesh, found = new Float32Array(positions.length);
  for (let i = 0; i < positions.length; i += 3) {
    const x = positions[i] - centre[0], y = positions[i + 1] - centre[1], z = positions[i + 2] - centre[2];
    for (let row = 0; row < 3; row++) found[i + row] = turn[3 * row] * x + turn[3 * row + 1] * y + turn[3 * row + 2] * z;
  }
  return found;
}

// The nearest vertex of the nearest triangle of a group under (x, y), mm in the eye's plane, or null.
function hit(mesh, eye, group, x, y) {
  let nearest = -Infinity, vertex = -1;
  for (let i = group.first; i < group.first + group.count; i += 3) {
    const a = 3 * mesh.indices[i], b = 3 * mesh.indices[i + 1], c = 3 * mesh.indices[i + 2];
    const ax = eye[a] - x, ay = eye[a + 1] - y, bx = eye[b] - x, by = eye[b + 1] - y, cx = eye[c] - x, cy = eye[c + 1] - y;
    const p = bx * cy - cx * by, q = cx * ay - ax * cy, r = ax * by - bx * ay, sum = p + q + r;
    if (sum === 0 || p * sum < 0 || q * sum < 0 || r * sum < 0) continue;
    const z = (p * eye[a + 2] + q * eye[b + 2] + r * eye[c + 2]) / sum;
    if (z <= nearest) continue;
    nearest = z;
    const most = Math.max(p / sum, q / sum, r / sum);
    vertex = (most === p / sum ? a : most === q / sum ? b : c) / 3;
  }
  return vertex < 0 ? null : { vertex, z: nearest };
}

// What is under a point of the canvas, in CSS pixels. Balls are found through a cortex of glass.
function pick(mesh, canvas, camera, view, x, y) {
  const { scale, shift } = framing(canvas, mesh, camera);
  const mm = [
    ((2 * x) / canvas.clientWidth - 1 - shift[0]) / scale[0],
    (1 - (2 * y) / canvas.clientHeight - shift[1]) / scale[1],
  ];
  const key = camera.turn.join();
  if (!mesh.eye || mesh.eyeOf !== key) Object.assign(mesh, { eye: inEye(mesh, camera.turn), eyeOf: key });
  const nearer = (one, other) => (!one || (other && other.z > one.z) ? other : one);
  const of = (names) => names.map((name) => hit(mesh, mesh.eye, mesh.groups[name], ...mm)).reduce(nearer, null);
  const ball = of(["balls", "sensors"]), cortex = of(view.sides);
  return view.opacity < 1 && ball ? ball : nearer(ball, cortex);
}
