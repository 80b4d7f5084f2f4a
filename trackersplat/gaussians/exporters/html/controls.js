// Mouse, touch and keys.

const TURN = Math.PI; // radians for a drag over the height of the picture
const KEY_STEP = 0.05; // of such a drag

function control(canvas, player) {
  const view = player.view, fingers = new Map();
  const moved = () => player.redraw();
  const height = () => canvas.clientHeight || 1;

  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
  });
  for (const name of ['pointerup', 'pointercancel']) canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
  canvas.addEventListener('pointermove', (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const dx = (event.clientX - before.clientX) / height(), dy = (event.clientY - before.clientY) / height();
    if (fingers.size === 1) {
      const sideways = event.shiftKey || (event.buttons & 6) !== 0;
      if (sideways) view.pan(dx, dy, canvas.height);
      else view.orbit(dx * TURN, dy * TURN);
    } else {
      const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
      const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY) || 1;
      view.zoom(apart(before) / apart(event));
      view.pan(dx / 2, dy / 2, canvas.height);
    }
    fingers.set(event.pointerId, event);
    moved();
  });
  canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    view.zoom(Math.exp(0.001 * event.deltaY * (event.deltaMode ? 30 : 1)));
    moved();
  }, { passive: false });
  canvas.addEventListener('dblclick', () => player.look(view.camera));

  const keys = {
    ' ': () => player.play(!player.playing),
    ',': () => player.jump(player.frame - 1),
    '.': () => player.jump(player.frame + 1),
    Home: () => player.jump(0),
    End: () => player.jump(player.frames.count - 1),
    '+': () => view.zoom(0.9),
    '=': () => view.zoom(0.9),
    '-': () => view.zoom(1 / 0.9),
    r: () => player.look(view.camera),
    '[': () => player.look(view.camera - 1),
    ']': () => player.look(view.camera + 1),
    h: () => player.help(),
    '?': () => player.help(),
  };
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inField = event.target instanceof HTMLElement && event.target.matches('input, select');
    const onButton = event.target instanceof HTMLElement && event.target.matches('button');
    const arrow = arrows[event.key];
    if (arrow && !inField) {
      const [x, y] = arrow.map((value) => value * KEY_STEP);
      if (event.shiftKey) view.pan(x, y, canvas.height);
      else view.orbit(x * TURN, y * TURN);
    } else {
      const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!act || (inField && (event.target.matches('select') || event.key === 'Home' || event.key === 'End'))) return;
      if (onButton && event.key === ' ') return; // it presses the button
      act();
    }
    event.preventDefault();
    moved();
  });
}
