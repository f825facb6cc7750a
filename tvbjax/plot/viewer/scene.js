// The brain in WebGL 2: orthographic, so that what is under a point is found without the GPU.

const VERTEX_SHADER = `#version 300 es
in vec3 position; in vec3 normal; in float shade; in vec3 paint;
uniform mat3 turn; uniform vec3 centre; uniform vec2 scale, shift; uniform float depth;
out vec3 facing, coat; out float fold;
void main() {
  vec3 eye = turn * (position - centre);
  facing = turn * normal; coat = paint; fold = shade;
  gl_Position = vec4(eye.xy * scale + shift, -eye.z * depth, 1.0);
}`;

// coat: value from 0 to 1 times presence, presence, and whether chosen, each interpolated.
const FRAGMENT_SHADER = `#version 300 es
precision highp float;
in vec3 facing, coat; in float fold;
uniform sampler2D colours; uniform vec3 none, plain; uniform float opacity, ball, bare;
out vec4 colour;
void main() {
  vec3 n = normalize(facing);
  if (n.z < 0.0) n = -n;
  vec3 base = coat.y < 0.5 ? none : texture(colours, vec2(clamp(coat.x / max(coat.y, 1e-3), 0.002, 0.998), 0.5)).rgb;
  base = mix(base, plain, bare);
  float lit = max(dot(n, normalize(vec3(-0.35, 0.45, 0.82))), 0.0);
  float gloss = pow(max(dot(n, normalize(vec3(-0.18, 0.24, 0.95))), 0.0), 40.0);
  vec3 shown = base * (0.5 + 0.55 * lit) * mix(0.68, 1.04, fold) + 0.07 * gloss;
  // A white line with dark sides where a chosen region ends.
  float edge = abs(coat.z - 0.5);
  if (ball < 0.5 && edge < 0.3) shown = edge < 0.17 ? vec3(1.0) : vec3(0.06);
  if (ball > 0.5 && coat.z > 0.5 && n.z < 0.6) shown = n.z < 0.4 ? vec3(0.06) : vec3(1.0);
  colour = vec4(shown * opacity, opacity);
}`;

function program(gl) {
  const made = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) {
      throw new Error(gl.getShaderInfoLog(shader));
    }
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  gl.useProgram(made);
  return made;
}

function attribute(gl, made, name, size, values, usage) {
  const buffer = gl.createBuffer(), place = gl.getAttribLocation(made, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, values, usage);
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, size, gl.FLOAT, false, 0, 0);
  return buffer;
}

function colourTexture(gl, table) {
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, table.length / 4, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, table);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.LINEAR);
}

// Buffers and uniforms of a context; made again when a lost context comes back.
function prepare(gl, mesh) {
  const made = program(gl), uniforms = {};
  for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
    const { name } = gl.getActiveUniform(made, i);
    uniforms[name] = gl.getUniformLocation(made, name);
  }
  attribute(gl, made, "position", 3, mesh.positions, gl.STATIC_DRAW);
  attribute(gl, made, "normal", 3, mesh.normals, gl.STATIC_DRAW);
  attribute(gl, made, "shade", 1, mesh.shades, gl.STATIC_DRAW);
  const paint = attribute(gl, made, "paint", 3, new Float32Array(mesh.positions.length), gl.DYNAMIC_DRAW);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, mesh.indices, gl.STATIC_DRAW);
  gl.enable(gl.DEPTH_TEST);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  return { uniforms, paint };
}

function drawGroup(gl, group) {
  if (group.count) gl.drawElements(gl.TRIANGLES, group.count, gl.UNSIGNED_INT, 4 * group.first);
}

// Only the nearest layer of a see-through cortex is drawn: depth first, then colours where it is equal.
function drawCortex(gl, uniforms, groups, opacity) {
  const draw = () => groups.forEach((group) => drawGroup(gl, group));
  gl.uniform1f(uniforms.ball, 0);
  gl.uniform1f(uniforms.bare, 0);
  gl.uniform1f(uniforms.opacity, opacity);
  if (opacity >= 1) return draw();
  gl.colorMask(false, false, false, false);
  draw();
  gl.colorMask(true, true, true, true);
  gl.depthFunc(gl.EQUAL);
  gl.enable(gl.BLEND);
  draw();
  gl.disable(gl.BLEND);
  gl.depthFunc(gl.LESS);
}

function drawBalls(gl, uniforms, groups) {
  gl.uniform1f(uniforms.ball, 1);
  gl.uniform1f(uniforms.opacity, 1);
  gl.uniform1f(uniforms.bare, 0);
  drawGroup(gl, groups.balls);
  gl.uniform1f(uniforms.bare, 1);
  drawGroup(gl, groups.sensors);
}

function createScene(canvas, mesh) {
  const gl = canvas.getContext("webgl2", { antialias: true, alpha: true });
  if (!gl) return null;
  let ready = prepare(gl, mesh);
  return {
    restore() { ready = prepare(gl, mesh); },
    colours(table) { colourTexture(gl, table); },
    paint(values) {
      gl.bindBuffer(gl.ARRAY_BUFFER, ready.paint);
      gl.bufferSubData(gl.ARRAY_BUFFER, 0, values);
    },
    draw(camera, look) {
      const { uniforms } = ready, { scale, shift } = framing(canvas, mesh, camera);
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.uniformMatrix3fv(uniforms.turn, true, camera.turn);
      gl.uniform3fv(uniforms.centre, mesh.centre);
      gl.uniform2fv(uniforms.scale, scale);
      gl.uniform2fv(uniforms.shift, shift);
      gl.uniform1f(uniforms.depth, 0.99 / mesh.radius);
      gl.uniform3fv(uniforms.none, look.none);
      gl.uniform3fv(uniforms.plain, look.plain);
      drawBalls(gl, uniforms, mesh.groups);
      drawCortex(gl, uniforms, look.sides.map((side) => mesh.groups[side]), look.opacity);
    },
  };
}

// Clip coordinates of a mm on the screen, and where the middle stands.
function framing(canvas, mesh, camera) {
  const size = Math.min(canvas.clientWidth, canvas.clientHeight) || 1;
  const unit = (0.94 * size * camera.zoom) / mesh.radius;
  return {
    scale: [unit / (canvas.clientWidth || 1), unit / (canvas.clientHeight || 1)],
    shift: [(2 * camera.x) / (canvas.clientWidth || 1), (-2 * camera.y) / (canvas.clientHeight || 1)],
  };
}
