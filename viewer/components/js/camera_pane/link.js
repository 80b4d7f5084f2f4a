// The socket that all panes of a page share.

const links = new Map();

export class Link {
  static of(url, tab) {
    const key = `${url} ${tab}`;
    if (!links.has(key)) links.set(key, new Link(key, url, tab));
    return links.get(key);
  }

  constructor(key, url, tab) {
    this.key = key;
    const address = new URL(`${url}?tab=${encodeURIComponent(tab)}`, location.href); // a proxy may serve the page below a path
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    this.address = address.href;
    this.panes = new Map();
    this.patience = 500; // milliseconds until the next try
    this.open();
  }

  open() {
    this.timer = undefined;
    this.socket = new WebSocket(this.address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.patience = 500;
      for (const pane of this.panes.values()) pane.introduce();
    };
    this.socket.onmessage = (event) => this.receive(event.data);
    this.socket.onclose = () => {
      if (!this.panes.size) return;
      for (const pane of this.panes.values()) pane.disconnected();
      this.timer = setTimeout(() => this.open(), this.patience);
      this.patience = Math.min(this.patience * 2, 8000);
    };
  }

  receive(data) {
    if (!(data instanceof ArrayBuffer)) return;
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const pane = this.panes.get(header.pane);
    if (!pane) return;
    if (header.t === "picture") pane.receivePicture(header, data.slice(4 + length));
    else if (header.t === "overlay") pane.receiveOverlay(header, data.slice(4 + length));
    else if (header.t === "state") pane.receiveState(header);
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  join(index, pane) {
    this.panes.set(index, pane);
    if (this.socket.readyState === WebSocket.OPEN) pane.introduce();
  }

  leave(index, pane) {
    if (this.panes.get(index) !== pane) return;
    this.send({ t: "gone", pane: index });
    this.panes.delete(index);
    if (this.panes.size) return;
    clearTimeout(this.timer);
    links.delete(this.key);
    this.socket.close();
  }
}
