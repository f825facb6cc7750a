// The page's data: numbers out of base64, and one mesh of cortex, spheres and sensors.

const MISSING = 65535, MISSING_BYTE = 255;

function bytes(text) {
  const binary = atob(text), found = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) found[i] = binary.charCodeAt(i);
  return found.buffer;
}

function readVariable(packed) {
  return {
    ...packed,
    regions: new Uint16Array(bytes(packed.regions)),
    vertices: packed.vertices ? new Uint8Array(bytes(packed.vertices)) : null,
  };
}

function readData() {
  const data = JSON.parse(document.getElementById("data").textContent);
  data.time.values = new Float64Array(bytes(data.time.values));
  data.variables = data.variables.map(readVariable);
  data.samples = data.time.values.length;
  return data;
}

// Values of a region or vertex in the variable's unit; NaN where there is none.
function regionValue(data, variable, t, region) {
  const level = variable.regions[t * data.labels.length + region];
  return level === MISSING ? NaN : variable.low + level * variable.step;
}

function vertexValue(data, variable, t, vertex) {
  const level = variable.vertices[t * data.mesh.count + vertex];
  return level === MISSING_BYTE ? NaN : variable.vertex_low + level * variable.vertex_step;
}

function cortexOf(packed) {
  const levels = new Uint16Array(bytes(packed.vertices));
  const positions = Float32Array.from(levels, (level, i) => packed.low[i % 3] + level * packed.step[i % 3]);
  const normals = Float32Array.from(new Int8Array(bytes(packed.normals)), (part) => part / 127);
  const shades = Float32Array.from(new Uint8Array(bytes(packed.shades)), (part) => part / 255);
  const raw = bytes(packed.triangles);
  const triangles = packed.wide ? new Uint32Array(raw) : Uint32Array.from(new Uint16Array(raw));
  return { positions, normals, shades, triangles, regions: new Uint16Array(bytes(packed.regions)) };
}

// Points on a sphere of radius 1 by latitude and longitude, and its triangles.
function sphere(rings, around) {
  const points = [], triangles = [];
  for (let i = 0; i <= rings; i++) {
    for (let j = 0; j < around; j++) {
      const up = (Math.PI * i) / rings, side = (2 * Math.PI * j) / around;
      points.push([Math.sin(up) * Math.cos(side), Math.sin(up) * Math.sin(side), Math.cos(up)]);
      if (i === rings) continue;
      const a = i * around + j, b = i * around + ((j + 1) % around);
      triangles.push(a, a + around, b, b, a + around, b + around);
    }
  }
  return { points, triangles };
}

function addBalls(mesh, centres, radius, owners, shape) {
  const first = mesh.indices.length;
  centres.forEach((centre, number) => {
    const base = mesh.positions.length / 3;
    for (const point of shape.points) {
      for (let axis = 0; axis < 3; axis++) mesh.positions.push(centre[axis] + radius * point[axis]);
      mesh.normals.push(...point);
      mesh.shades.push(1);
      mesh.owners.push(owners[number]);
    }
    for (const corner of shape.triangles) mesh.indices.push(base + corner);
  });
  return { first, count: mesh.indices.length - first };
}

// One mesh; `owners` holds the region of each vertex, or -1 - i of sensor i. Groups are drawn apart.
function buildMesh(data) {
  const cortex = cortexOf(data.mesh), sensors = data.sensors || { labels: [], positions: [], radius: 1 };
  data.mesh.count = cortex.regions.length;
  const mesh = {
    positions: Array.from(cortex.positions), normals: Array.from(cortex.normals),
    shades: Array.from(cortex.shades), owners: Array.from(cortex.regions), indices: Array.from(cortex.triangles),
  };
  const left = 3 * data.mesh.left, all = cortex.triangles.length;
  const groups = {
    left: { first: 0, count: left }, right: { first: left, count: all - left },
    balls: addBalls(mesh, data.balls.positions, data.balls.radius, data.balls.regions, sphere(10, 16)),
    sensors: addBalls(mesh, sensors.positions, sensors.radius, sensors.labels.map((_, i) => -1 - i), sphere(6, 9)),
  };
  return {
    positions: new Float32Array(mesh.positions), normals: new Float32Array(mesh.normals),
    shades: new Float32Array(mesh.shades), owners: Int32Array.from(mesh.owners),
    indices: new Uint32Array(mesh.indices), cortex: data.mesh.count, groups, ...extent(mesh.positions),
  };
}

function extent(positions) {
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < positions.length; i++) {
    low[i % 3] = Math.min(low[i % 3], positions[i]);
    high[i % 3] = Math.max(high[i % 3], positions[i]);
  }
  const centre = low.map((part, axis) => (part + high[axis]) / 2);
  let radius = 0;
  for (let i = 0; i < positions.length; i += 3) {
    radius = Math.max(radius, Math.hypot(...centre.map((part, axis) => positions[i + axis] - part)));
  }
  return { centre, radius: radius || 1 };
}
