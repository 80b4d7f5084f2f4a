// The view: a place to look from and one to turn around. Axes as in computer vision: x right, y down, z forward.

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const add = (a, b, s = 1) => [a[0] + s * b[0], a[1] + s * b[1], a[2] + s * b[2]];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const unit = (a) => { const l = Math.hypot(...a) || 1; return [a[0] / l, a[1] / l, a[2] / l]; };

// v turned around a unit axis.
function turned(v, axis, angle) {
  const c = Math.cos(angle), s = Math.sin(angle), x = cross(axis, v), d = dot(axis, v) * (1 - c);
  return [0, 1, 2].map((i) => c * v[i] + s * x[i] + d * axis[i]);
}

class OrbitView {
  constructor(scene) {
    this.scene = scene;
    this.up = scene.up;
    this.take(0);
  }

  // The very view of a camera of the scene.
  take(index) {
    const camera = this.scene.cameras[index], r = camera.rotation, t = camera.translation;
    this.camera = index;
    this.axes = [r.slice(0, 3), r.slice(3, 6), r.slice(6, 9)];
    this.eye = [0, 1, 2].map((i) => -(r[i] * t[0] + r[3 + i] * t[1] + r[6 + i] * t[2]));
    const ahead = dot(add(this.scene.focus, this.eye, -1), this.axes[2]);
    this.distance = ahead > 0 ? ahead : this.scene.size;
  }

  get target() {
    return add(this.eye, this.axes[2], this.distance);
  }

  // Around the upright axis and up or down, in radians.
  orbit(across, down) {
    const target = this.target, steep = Math.asin(Math.max(-1, Math.min(1, dot(this.axes[2], this.up))));
    const most = 1.5; // radians from level: at the poles right and left are lost
    const pitch = Math.max(-most, Math.min(most, steep - down)) - steep;
    this.axes = this.axes.map((axis) => turned(turned(axis, this.axes[0], pitch), this.up, across));
    this.straighten();
    this.eye = add(target, this.axes[2], -this.distance);
  }

  // Rounding must not bend the axes.
  straighten() {
    const forward = unit(this.axes[2]), right = unit(add(this.axes[0], forward, -dot(this.axes[0], forward)));
    this.axes = [right, cross(forward, right), forward];
  }

  // In heights of the picture.
  pan(right, down, height) {
    const camera = this.scene.cameras[this.camera];
    const size = this.distance * height / (camera.lens[1] * this.scale(camera));
    this.eye = add(add(this.eye, this.axes[0], -right * size), this.axes[1], -down * size);
  }

  zoom(factor) {
    const target = this.target;
    this.distance = Math.max(this.distance * factor, this.scene.size * 1e-3);
    this.eye = add(target, this.axes[2], -this.distance);
  }

  scale(camera) {
    return this.fit ? Math.min(this.fit[0] / camera.width, this.fit[1] / camera.height) : 1;
  }

  // What the renderer needs for a canvas of this size: the picture of the camera fits into it.
  numbers(width, height) {
    this.fit = [width, height];
    const camera = this.scene.cameras[this.camera], s = this.scale(camera), [fx, fy, cx, cy] = camera.lens;
    const lens = [fx * s, fy * s, cx * s + (width - camera.width * s) / 2, cy * s + (height - camera.height * s) / 2];
    return { rotation: this.axes.flat(), translation: this.axes.map((axis) => -dot(axis, this.eye)), lens, near: camera.near };
  }
}
