// Methods of the camera pane. What the server sends and is told.

export const server = {
  introduce() {
    this.viewSent = "";
    this.sendSize();
    this.sendView();
  },

  sendSize() {
    if (this.width && this.height) this.link?.send({ t: "size", pane: this.pane, w: this.width, h: this.height });
  },

  sendView() {
    const header = this.picture?.header;
    let rect = null;
    if (this.view && header) {
      const { sx, sy, ox, oy } = this.view;
      rect = [ox, oy, ox + this.width / sx, oy + this.height / sy];
    }
    const message = { t: "view", pane: this.pane, rect, camera: header?.index ?? 0 };
    const text = JSON.stringify(message);
    if (text === this.viewSent) return;
    this.viewSent = text;
    this.link?.send(message);
  },

  disconnected() {
    this.say("error", "The server does not answer. The page tries again by itself; if it was stopped, start trackersplat-view again.");
  },

  receiveState(header) {
    this.refused = header.kind === "error" && header.camera !== undefined ? header : null;
    this.decoding += 1; // a picture that is still being decoded is older than this
    if (header.kind === "error") {
      this.parts.photo.remove();
      this.picture?.bitmap.close();
      if (this.whole !== this.picture) this.whole?.bitmap.close();
      this.picture = this.whole = this.overlay = null;
      this.drawLabels();
      this.redraw();
    }
    this.say(header.kind, header.sentence);
  },

  async receivePicture(header, data) {
    const turn = ++this.decoding;
    let bitmap;
    try {
      bitmap = await createImageBitmap(new Blob([data], { type: header.mime }), { colorSpaceConversion: "none" });
    } catch {
      this.say("error", "The browser could not decode the picture.");
      return;
    }
    if (turn !== this.decoding) return bitmap.close();
    this.parts.photo.remove();
    const before = this.picture;
    const picture = { header, bitmap, content: JSON.stringify(header.content) };
    if (before && before.header.index !== header.index) {
      this.view = null;
      this.hideTip();
    }
    const everything = header.rect[0] === 0 && header.rect[1] === 0 && header.rect[2] === header.size[0] && header.rect[3] === header.size[1];
    const whole = this.whole;
    this.picture = picture;
    if (everything) this.whole = picture;
    else if (whole && whole.content !== picture.content) this.whole = null;
    for (const old of new Set([before, whole])) if (old && old !== this.picture && old !== this.whole) old.bitmap.close();
    if (!this.drag?.wipes && (header.wipe === null || header.exact)) this.wipeAt = null; // the line is where the server has it
    this.unacknowledged = header.serial;
    this.chooseOverlay();
    this.say("", "");
    this.redraw();
  },

  receiveOverlay(header, data) {
    const columns = header.count;
    const values = new Float32Array(data);
    const row = (index) => values.subarray(index * columns, (index + 1) * columns);
    const overlay = { header, count: columns };
    header.fields.forEach((name, index) => { overlay[name] = row(index); });
    overlay.trails = Array.from({ length: header.trail }, (_, i) => [row(header.fields.length + 2 * i), row(header.fields.length + 2 * i + 1)]);
    this.overlays = [overlay, ...this.overlays.slice(0, 1)];
    if (this.chooseOverlay()) this.redraw();
  },

  // Only marks of the very frame that is on the screen are drawn.
  chooseOverlay() {
    const header = this.picture?.header;
    const found = header ? this.overlays.find((o) => o.header.frame === header.wanted && o.header.index === header.index) ?? null : null;
    const changed = found !== this.overlay;
    this.overlay = found;
    if (changed) this.hideTip();
    return changed;
  },
};
