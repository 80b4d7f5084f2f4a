// Time: a clock that the picture follows. It waits only for frames that are not unpacked yet.

class Player {
  constructor(scene) {
    this.scene = scene;
    this.frames = new Frames(scene);
    this.canvas = document.getElementById('view');
    this.renderer = new Renderer(this.canvas, scene);
    this.view = new OrbitView(scene);
    this.frame = 0; // what is asked for
    this.playing = false;
    this.speed = 1;
    this.time = 0; // seconds since the first frame
    this.last = null;
    this.dirty = true;
    this.build();
    control(this.canvas, this);
    new ResizeObserver(() => this.fit()).observe(this.canvas);
    this.fit();
    requestAnimationFrame((now) => this.tick(now));
  }

  build() {
    const { scene } = this, get = (id) => document.getElementById(id);
    this.bar = { play: get('play'), time: get('time'), count: get('count'), speed: get('speed'), camera: get('camera') };
    this.bar.time.max = String(this.frames.count - 1);
    for (const [index, camera] of scene.cameras.entries()) this.bar.camera.append(new Option(camera.name, String(index)));
    get('name').textContent = scene.name;
    get('facts').textContent =
      `${this.frames.count} frames at ${scene.frames_per_second} frames per second, ${scene.gaussians.toLocaleString('en')} Gaussians. ` +
      'Colours do not depend on the direction (spherical harmonics of degree 0).' + (scene.made_cameras ? ' The cameras are made up.' : '');
    this.bar.play.addEventListener('click', () => this.play(!this.playing));
    this.bar.time.addEventListener('input', () => this.jump(Number(this.bar.time.value)));
    this.bar.speed.addEventListener('change', () => { this.speed = Number(this.bar.speed.value); });
    this.bar.camera.addEventListener('change', () => this.look(Number(this.bar.camera.value)));
    get('about').addEventListener('click', () => this.help());
    this.say();
  }

  help() {
    const help = document.getElementById('help');
    help.hidden = !help.hidden;
  }

  say() {
    this.bar.play.textContent = this.playing ? '❚❚' : '▶';
    this.bar.play.setAttribute('aria-label', this.playing ? 'Pause' : 'Play');
    this.bar.time.value = String(this.frame);
    this.bar.count.textContent = `${this.scene.frames[this.frame].number} / ${this.scene.frames[this.frames.count - 1].number}`;
    this.bar.camera.value = String(this.view.camera);
  }

  redraw() {
    this.dirty = true;
  }

  play(playing) {
    this.playing = playing && this.frames.count > 1;
    this.last = null;
    this.say();
  }

  jump(frame) {
    this.play(false);
    this.show(frame);
    this.time = this.frame / this.scene.frames_per_second;
  }

  show(frame) {
    this.frame = Math.max(0, Math.min(this.frames.count - 1, frame));
    this.dirty = true;
    this.say();
  }

  look(camera) {
    const count = this.scene.cameras.length;
    this.view.take((camera + count) % count);
    this.dirty = true;
    this.say();
  }

  fit() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    this.dirty = true;
  }

  tick(now) {
    requestAnimationFrame((next) => this.tick(next));
    const count = this.frames.count, rate = this.scene.frames_per_second;
    if (this.playing && this.frames.ready(this.frame)) {
      if (this.last !== null) this.time = (this.time + (now - this.last) / 1000 * this.speed) % (count / rate);
      this.last = now;
      const due = Math.min(count - 1, Math.floor(this.time * rate + 1e-6));
      if (due !== this.frame) this.show(due);
    } else {
      this.last = null;
    }
    const frame = this.frames.get(this.frame);
    if (!frame) this.fetch(this.frame);
    else if (this.dirty) {
      this.renderer.draw(frame, this.view.numbers(this.canvas.width, this.canvas.height));
      this.dirty = false;
      document.getElementById('message').textContent = '';
    }
    if (frame && this.playing) this.ahead();
  }

  fetch(frame) {
    if (this.frames.working) return;
    this.frames.load(frame).then(() => { this.dirty = true; }, fail);
  }

  // While one frame is shown, the next is unpacked.
  ahead() {
    const next = (this.frame + 1) % this.frames.count;
    if (!this.frames.working && !this.frames.ready(next)) this.frames.load(next).catch(fail);
  }
}

function fail(error) {
  document.getElementById('message').textContent = `The scene cannot be shown: ${error.message}`;
}

// The address may name a frame (counted as in the file), a camera, and ask to pause: #frame=12&camera=cam03&paused
function start() {
  const scene = JSON.parse(document.getElementById('scene').textContent);
  const player = new Player(scene);
  window.player = player;
  const asked = new URLSearchParams(location.hash.slice(1));
  const camera = scene.cameras.findIndex((one) => one.name === asked.get('camera'));
  if (camera >= 0) player.look(camera);
  const place = scene.frames.findIndex((one) => String(one.number) === asked.get('frame'));
  if (place >= 0) player.jump(place);
  player.play(!asked.has('paused'));
}

try {
  start();
} catch (error) {
  fail(error);
}
